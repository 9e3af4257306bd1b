"""A study that is slow without computing, so that kills find trials half done; and how two runs compare."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
import pytest
import torch

from lrstudy.engine.lanes import choose_lanes
from lrstudy.engine.start_group import start_group
from lrstudy.records import Phase, Status
from lrstudy.rules.early_stop import EarlyStop
from lrstudy.rules.outcome import Outcome, learned
from lrstudy.spec import Study, parse_study
from lrstudy.store import Location, StoreWriter, TrialKey, open_location, open_store
from lrstudy.tasks import load_data
from lrstudy.tuning import prepare
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.running_trials import RunningTrial
from lrstudy.tuning.job import Job
from lrstudy.tuning.start import make_importable

# Sleeps in every training step, and does what the study's options say a broken machine would do.
MODULE = """
import os
import time
from pathlib import Path

import torch


class Slow(torch.nn.Sequential):
    def __init__(self, seconds):
        super().__init__(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 3))
        self.seconds = seconds
        (Path(__file__).parent / f"began-{os.getpid()}").touch()  # when this process last began a trial

    def forward(self, inputs):
        if self.training and torch.is_grad_enabled():
            # The few rows with which a study is checked before it starts go through.
            if len(inputs) > 8 and (Path(__file__).parent / "broken").exists():
                raise RuntimeError("somebody broke the network")
            time.sleep(self.seconds * float(os.environ.get("SLOW_NET", "1")))
        return super().forward(inputs)


def make(seconds=0.01):
    return Slow(seconds)
"""

# Both studies have one name, so that both stores have the same path.
STUDY = """
name = "slow"
[task]
{task}
batch_size = 32
epochs = {epochs}
[budget]
objective = "best"
trials = {trials}
confirm_seeds = {seeds}
search = "{search}"
stop = "never"  # kills find trials half done
[target]
values = [{target}]
reference = "fixed"
[faults]
checkpoint_epochs = 2
checkpoint_seconds = 0
[schedules.fixed]
lr = {{ low = 0.01, high = 1.0, log = true }}
[schedules.step]
lr = {{ low = 0.01, high = 1.0, log = true }}
gamma = [0.1, 0.5]
"""

SLOW_TASK = """dataset = "iris"
model = {{ name = "slow_net:make", seconds = {seconds} }}
optimizer = {{ name = "sgd", lr = 0.1, momentum = 0.9 }}"""

LANE_TASK = """dataset = "digits"
model = { name = "mlp", widths = [16] }"""
LANES = """[schedules.lipschitz]
[resources]
lanes = 4
"""


def write_lane_study(
    folder: Path, *, epochs: int = 60, trials: int = 8, seeds: int = 4, search: str = "random"
) -> Path:
    """A study file whose trials run in lanes."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "slow.toml"
    text = STUDY.format(task=LANE_TASK, target=0.9, epochs=epochs, trials=trials, seeds=seeds, search=search)
    file.write_text(text + LANES)
    return file


def write_study(
    folder: Path,
    *,
    seconds: float = 0.01,
    epochs: int = 12,
    trials: int = 4,
    seeds: int = 3,
    search: str = "random",
    more: str = "",
) -> Path:
    """A study file and its module, in their own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "slow_net.py").write_text(MODULE)
    task = SLOW_TASK.format(seconds=seconds)
    text = STUDY.format(task=task, target=0.8, epochs=epochs, trials=trials, seeds=seeds, search=search)
    file = folder / "slow.toml"
    file.write_text(text + more)
    return file


def read_study(file: Path) -> Study:
    return parse_study(tomllib.loads(file.read_text()), str(file))


def run_study(file: Path, out: Path, address: str | None = None) -> None:
    """Run it in this process, to the end."""
    with prepare(read_study(file), str(out), address=address, search_path=[file.parent]) as ready:
        if not ready.run.done:
            ready.start(lambda: None)
        assert ready.run.done


def run_without_ray(study: Study, folder: Path, search_path: Sequence[Path] = ()) -> None:
    """Run a study in this process, one trial after the other: a run on Ray must have the same rows.

    The study has one replicate and no pruner.
    """
    assert study.budget.pruner == "none"
    make_importable(search_path)
    data = None if study.function is not None else load_data(study.built_in, study.seed)
    lanes = choose_lanes(study, data).lanes
    controller = Controller(study)
    info = replace(study_info(study), lanes=lanes)
    with (
        StoreWriter.create_or_open(open_location(folder), info) as writer,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLOW_NET", "0")
        while (config := controller.next()) is not None:
            trial, early = RunningTrial(Job(config)), EarlyStop.of(study, Phase(config.phase), config.cap)
            ended: Status | None = None
            in_lanes = lanes > 0 and config.phase is not Phase.RANGE_TEST
            group = start_group(study, data, [config], torch.device("cpu"), in_lanes=in_lanes)
            try:
                for pause in group.run():
                    trial.add(list(pause.rows.values()))
                    if group.active and early is not None and (ended := early.after(trial.rows)):
                        group.finish(0)
                outcome = group.outcome(0)
                if ended is not None and outcome.status is Status.COMPLETED:
                    outcome.status = ended
            except Exception as error:  # noqa: BLE001 - users' code may raise anything
                outcome = Outcome(Status.FAILED, len(trial.rows), error=str(error))
            finally:
                group.close()
            record = trial.record(study, outcome, None)
            key = TrialKey(config.trial_id, Phase(config.phase), config.schedule, config.seed)
            writer.append([(key, row) for row in trial.rows], [record])
            controller.complete(record, learned([row.train_loss for row in trial.rows]))


# What of a trial depends on the clock and the machine.
MEASURED: Final = ("started_at", "ended_at", "node", "device", "slot_seconds", "energy_kwh", "energy_source")


def measured(place: Path | Location, schedules: Sequence[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return all that two runs of one study must agree in: both tables' rows, without clocks and places."""
    store = open_store(place)
    trials = store.pandas("trials").drop(columns=[*MEASURED, "attempt"])
    epochs = store.pandas("evaluations")
    epochs = epochs.drop(columns=[name for name in epochs if name.endswith("_seconds")])
    if schedules:
        trials, epochs = (table[table.schedule.isin(schedules)] for table in (trials, epochs))
    return (
        trials.sort_values("trial_id").reset_index(drop=True),
        epochs.sort_values(["trial_id", "epoch"]).reset_index(drop=True),
    )


def assert_same(one: Path | Location, other: Path | Location, schedules: Sequence[str] = ()) -> None:
    """Raise ``AssertionError`` unless two stores hold the same rows, every metric bit by bit.

    With ``schedules``, only their rows are compared.
    """
    for left, right in zip(measured(one, schedules), measured(other, schedules), strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
        assert not left.duplicated([c for c in ("trial_id", "epoch") if c in left]).any()
