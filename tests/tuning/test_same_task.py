"""A run continues on the data and the model that it began with, or not at all."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import ClusterError, ContractError, InputError, StoreError
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.spec import Study, parse_study
from lrstudy.store import StoreWriter, StudyInfo, TrialKey, open_location, open_store
from lrstudy.tasks import load_data
from lrstudy.tuning import prepare
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.repeat import repeat
from lrstudy.tuning.same_task import check_continues, fingerprints

NOW = datetime(2026, 1, 2, tzinfo=UTC)

MODULE = """
import numpy as np
import torch
from torch import nn

SCALE = 1.0

def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    return x, (x[:, 0] > 0).astype(int)

class Net(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.head = nn.Linear(4, outputs)
    def forward(self, x):
        return self.head(x * torch.as_tensor(SCALE, dtype=x.dtype))
"""

STUDY = """
name = "own"
[task]
dataset = "same_parts:make_data"
model = "same_parts:Net"
batch_size = 16
epochs = 2
[budget]
objective = "best"
trials = 1
confirm_seeds = 1
[resources]
lanes = 0
[target]
values = [0.8]
reference = "fixed"
[schedules.fixed]
lr = 0.1
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Write the users' module, with some of its text replaced."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(old: str = "", new: str = "") -> Study:
        (tmp_path / "same_parts.py").write_text(MODULE.replace(old, new) if old else MODULE)
        sys.modules.pop("same_parts", None)
        return parse_study(tomllib.loads(STUDY), "study.toml")

    yield write
    sys.modules.pop("same_parts", None)


def now(study: Study) -> StudyInfo:
    return study_info(study, fingerprints(study, load_data(study.task, study.seed)))


def write_run(study: Study, place: Path, status: Status = Status.COMPLETED, **changes: object) -> None:
    """A store with one trial, as a worker trains it."""
    config = TrialConfig("fixed-tune-000", Phase.TUNE, "fixed", "fixed", {"lr": 0.1}, 3)
    rows = list(Training(study, load_data(study.task, study.seed), config, torch.device("cpu")).run())
    key = TrialKey(config.trial_id, config.phase, config.schedule, config.seed)
    record = TrialRecord(
        **asdict(key),
        params=dict(config.params),
        status=status,
        error=None,
        evaluations_run=len(rows),
        best_val=0.5,
        best_evaluation=1,
        objective=0.5,
        **dict.fromkeys(("test_loss", "test_accuracy", "test_r2")),
        started_at=NOW,
        ended_at=NOW,
        node="here",
        device="cpu",
        attempt=1,
    )
    with StoreWriter.create_or_open(place, replace(now(study), **changes)) as writer:
        writer.append([(key, row) for row in rows], [record])


CHANGED = {
    "other rows": ("default_rng(0)", "default_rng(1)", "dataset"),
    "another order": ("return x,", "x = x[::-1]\n    return x,", "dataset"),
    "other labels": ("> 0)", "< 0)", "dataset"),
    "another type": ("normal(size=(60, 4))", "normal(size=(60, 4)).astype('float32')", "dataset"),
    "another model": ("SCALE = 1.0", "SCALE = 1.5", "model"),
    "other first weights": ("4, outputs)", "4, outputs); nn.init.ones_(self.head.weight)", "model"),
}


@pytest.mark.parametrize(("old", "new", "part"), CHANGED.values(), ids=CHANGED)
def test_a_run_on_other_data_or_another_model_is_refused(old, new, part, parts, tmp_path) -> None:
    place = tmp_path / "own"
    write_run(parts(), place)
    study = parts(old, new)
    with pytest.raises(StoreError, match=f"task: {part} = 'same_parts:.*was started.*choose another --out"):
        check_continues(study, open_location(place), now(study), ())
    with pytest.raises(InputError, match=f"task: {part} = "):
        repeat(open_store(place), study, "fixed-tune-000")


def test_the_message_holds_both_digests(parts, tmp_path) -> None:
    place = tmp_path / "own"
    write_run(parts(), place)
    study = parts("default_rng(0)", "default_rng(1)")
    before, after = (info.fingerprints["data"][:8] for info in (open_store(place).study, now(study)))
    with pytest.raises(
        StoreError, match=rf"other rows now \({after}\) than when .* was started \({before}\)"
    ):
        check_continues(study, open_location(place), now(study), ())


def test_the_same_data_and_model_continue_and_repeat(parts, tmp_path) -> None:
    place = tmp_path / "own"
    write_run(parts(), place)
    study = parts()
    check_continues(study, open_location(place), now(study), ())
    assert repeat(open_store(place), study, "fixed-tune-000").same


def test_a_mended_model_may_run_failed_trials_again(parts, tmp_path) -> None:
    """Where no trial is kept nothing is mixed, and the run is then known by what it is now."""
    failed, kept = tmp_path / "failed", tmp_path / "kept"
    write_run(parts(), failed, Status.FAILED)
    write_run(parts(), kept)
    study = parts("SCALE = 1.0", "SCALE = 1.5")
    check_continues(study, open_location(failed), now(study), ())
    check_continues(study, open_location(kept), now(study), {"fixed-tune-000"})
    with StoreWriter.create_or_open(failed, now(study)):
        pass
    assert open_store(failed).study.fingerprints == now(study).fingerprints


def test_a_checkpoint_is_something_to_mix(parts, tmp_path) -> None:
    write_run(parts(), tmp_path / "own", Status.FAILED)
    (tmp_path / "own" / "checkpoints" / "fixed-tune-000").mkdir(parents=True)
    study = parts("SCALE = 1.0", "SCALE = 1.5")
    with pytest.raises(StoreError, match="computes other values now"):
        check_continues(study, open_location(tmp_path / "own"), now(study), ())


def test_an_older_store_has_no_fingerprints_and_continues(parts, tmp_path) -> None:
    place = tmp_path / "own"
    write_run(parts(), place, fingerprints={})
    description = json.loads((place / "study.json").read_text())
    del description["fingerprints"], description["sha256"]
    (place / "study.json").write_text(json.dumps(description))
    study = parts("SCALE = 1.0", "SCALE = 1.5")
    check_continues(study, open_location(place), now(study), ())
    assert not repeat(open_store(place), study, "fixed-tune-000").same


def test_prepare_refuses_before_anything_is_written(parts, tmp_path) -> None:
    place = tmp_path / "own"
    write_run(parts(), place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    study = parts("default_rng(0)", "default_rng(1)")
    with pytest.raises(StoreError, match="gives other rows now"), prepare(study, str(tmp_path)):
        pass
    assert before == {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.cluster
def test_a_model_that_every_process_draws_for_itself_is_refused(parts, tmp_path) -> None:
    study = parts("SCALE = 1.0", "SCALE = np.random.default_rng().random()")
    with (
        pytest.raises(ContractError, match="computes other values in a worker"),
        prepare(study, str(tmp_path / "out"), search_path=[tmp_path]) as ready,
    ):
        ready.start(lambda: None)
    assert open_store(tmp_path / "out" / "own").trial_records() == []


@pytest.mark.cluster
def test_a_model_whose_worker_is_killed_is_refused_after_some_attempts(parts, tmp_path) -> None:
    study = parts()
    killed = "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)\n"
    with prepare(study, str(tmp_path / "out"), search_path=[tmp_path]) as ready:
        (tmp_path / "same_parts.py").write_text(killed)
        with pytest.raises(ClusterError, match="building it ended its worker 3 times"):
            ready.start(lambda: None)
