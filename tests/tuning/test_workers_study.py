"""Trials of several worker processes, as a study: one loses a process, and one has too few slots."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lrstudy import try_training
from lrstudy.records import Phase, Status
from lrstudy.store import open_store

# Rank 1 ends its process with SIGKILL in step 9, once for all trials.
MODULE = """
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

KILLED = Path(__file__).with_name("killed")


def train(trial):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(96, 5, generator=draw, dtype=torch.float64)
    rows = TensorDataset(inputs, (inputs[:, 0] > 0).long())
    model = trial.prepare(nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)).double())
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr, momentum=0.9)
    sampler = DistributedSampler(rows, trial.world_size, trial.rank, seed=trial.seed)
    loader = DataLoader(rows, 16 // trial.world_size, sampler=sampler)
    schedule = trial.schedule(optimizer, model, loader=loader)
    trial.keep(model=model, optimizer=optimizer)
    first = True
    for x, y in trial.steps(loader):
        if first and trial.rank == 0:
            with KILLED.with_name("began").open("a") as file:
                print(trial.step, file=file)
        first = False
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if trial.rank == 1 and trial.step == 9 and trial.options["fault"] == "kill" and not KILLED.exists():
            KILLED.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if trial.due:
            with trial.evaluating(), torch.no_grad():
                loss = nn.functional.cross_entropy(model(inputs), rows.tensors[1])
            trial.report(val_loss=loss)
"""

STUDY = """
name = "ranks"
[task]
train = "ranks_training:train"
epochs = 4
metrics = {{ val_loss = "min" }}
options = {{ fault = "{fault}" }}
[budget]
objective = "best"
trials = 1
confirm_seeds = 1
stop = "never"
[target]
values = [0.3]
[resources]
workers = {workers}
[faults]
checkpoint_epochs = 1
checkpoint_seconds = 0
[schedules.fixed]
lr = 0.1
"""


def run(folder: Path, fault: str, workers: int = 2) -> subprocess.CompletedProcess[str]:
    (folder / "ranks_training.py").write_text(MODULE)
    (folder / "study.toml").write_text(STUDY.format(fault=fault, workers=workers))
    command = [sys.executable, "-m", "lrstudy", "run", "study.toml", "--out", "."]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=900
    )


@pytest.mark.cluster
def test_a_trial_that_loses_a_worker_continues_to_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run(tmp_path, "kill")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "killed").exists()
    # The first attempt, the second from the checkpoint after step 6, and the confirm trial.
    assert (tmp_path / "began").read_text().split() == ["1", "7", "1"]
    store = open_store(tmp_path / "ranks")
    records = sorted(store.trial_records(), key=lambda record: record.phase, reverse=True)
    assert [(record.phase, record.attempt) for record in records] == [(Phase.TUNE, 2), (Phase.CONFIRM, 1)]
    (logs,) = re.findall("workers write to (.*)", (tmp_path / "ranks" / "run.log").read_text())
    written = [file.read_text() for file in Path(logs).rglob("*-controller-*.log")]
    assert len(written) >= 3
    # Where Ray has no dashboard, each trial would wait 12 s for it.
    assert not any("PlacementGroupCleaner" in text for text in written)
    monkeypatch.syspath_prepend(tmp_path)
    import ranks_training  # type: ignore[import-not-found]

    for record in records:
        assert (record.status, record.workers, record.gpus) == (Status.COMPLETED, 2, 0)
        assert record.device.startswith("2 × ")
        # One worker, uninterrupted: the same global batches, so the same values within rounding.
        alone = try_training(
            ranks_training.train,
            {"kind": "fixed", "lr": 0.1},
            epochs=4,
            metrics=["val_loss"],
            options={"fault": ""},
            seed=record.seed,
            show=False,
        )
        rows = [row for key, row in store.evaluation_records() if key.trial_id == record.trial_id]
        rows.sort(key=lambda row: row.evaluation)
        assert [row.step for row in rows] == [6, 12, 18, 24]
        assert [row.val_loss for row in rows] == pytest.approx([row.val_loss for row in alone], rel=1e-9)


def test_more_workers_than_slots_are_refused_before_the_start(tmp_path: Path) -> None:
    ended = run(tmp_path, "", workers=10_000)
    assert ended.returncode == 2
    assert "resources.workers = 10000: a trial asks for 10000 workers of 1 CPUs" in ended.stderr
    assert not (tmp_path / "ranks").exists()
