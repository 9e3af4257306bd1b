"""Studies of a user's training function whose processes are killed, or do what ends a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_studies import assert_same, read_study, run_study, run_without_ray

from lrstudy.records import Status
from lrstudy.store import open_store

pytestmark = pytest.mark.cluster

HEAD = """
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

HERE = Path(__file__).parent


def first(kind):
    try:
        (HERE / kind).open("x").close()
    except FileExistsError:
        return False
    return True


def loop(trial, after_step, keep):
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(inputs, inputs.argmax(1)), batch_size=8, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr, momentum=0.9)
    schedule = trial.schedule(optimizer, model=model, loader=loader)
    if keep:
        trial.keep(model=model, optimizer=optimizer)
    for x, y in trial.steps(loader):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        after_step(trial)
        if trial.due:
            trial.report(val_loss=loss)
"""
# Sleeps in every step; the first worker to come to step 25 is killed there.
SLOW = """

def after(trial):
    time.sleep(0.02)
    if trial.step == 25 and not (HERE / "spare").exists() and first("killed"):
        os.kill(os.getpid(), signal.SIGKILL)


def train(trial):
    loop(trial, after, keep=True)
"""
FAULTS = """

def hang():
    while True:
        time.sleep(1)


def fail(error):
    raise error


class Killing(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


DO = {
    "reader": lambda: list(DataLoader(Killing(), num_workers=1)),
    "os._exit": lambda: os._exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "hang": hang,
    "sys.exit": lambda: sys.exit(3),
    "memory": lambda: fail(MemoryError("no room")),
    "raise": lambda: fail(ValueError("one\\udce9")),
}


def after(trial):
    print("caf\\udce9 \\u20ac")
    if trial.step == 4:
        for kind, do in DO.items():
            if first(kind):
                do()


def train(trial):
    loop(trial, after, keep=False)
"""
STUDY = """
name = "own"
[task]
train = "killed_training:train"
steps = {steps}
evaluate_every = 10
metrics = {{ val_loss = "min" }}
[budget]
objective = "best"
trials = {trials}
confirm_seeds = 1
search = "random"
[target]
values = [0.1]
[resources]
max_concurrent = 1
[faults]
checkpoint_epochs = 1
checkpoint_seconds = 0
{faults}
[schedules.cosine]
lr = {{ low = 0.01, high = 1.0, log = true }}
"""
RUN = """
import sys
from pathlib import Path
from fault_studies import run_study
run_study(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def write(folder: Path, module: str, *, trials: int, steps: int, faults: str = "") -> Path:
    folder.mkdir()
    (folder / "killed_training.py").write_text(HEAD + module)
    file = folder / "own.toml"
    file.write_text(STUDY.format(trials=trials, steps=steps, faults=faults))
    return file


def test_a_killed_worker_and_a_killed_driver_leave_no_trace_in_any_value(tmp_path: Path) -> None:
    study, out = write(tmp_path / "study", SLOW, trials=2, steps=60), tmp_path / "killed"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, str(study), str(out)], env={**os.environ, "PYTHONPATH": path}
    )
    deadline = time.monotonic() + 120
    # The worker has killed itself, its trial has gone on, and the next one has written a checkpoint.
    while not list((out / "own" / "checkpoints").glob("*tune-001/*.pt")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert (tmp_path / "study" / "killed").exists()
    run_study(study, out)
    (tmp_path / "study" / "spare").touch()
    run_without_ray(read_study(study), tmp_path / "whole", [study.parent])
    assert_same(out / "own", tmp_path / "whole")
    attempts = [record.attempt for record in open_store(out / "own").trial_records()]
    assert sorted(attempts) == [1, 2, 2]


SAYS = (
    "see dmesg there",  # of a DataLoader's process too
    "lost worker: ",
    "lost worker: ",
    "the limit is 8 s (faults.epoch_seconds)",
    "the function ended the program: SystemExit: 3",
    "MemoryError: no room",
    r"ValueError: one\udce9",
)


def test_whatever_a_function_does_to_its_process_only_its_trial_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults = "lost_node_retries = 0\nmemory_retries = 0\nepoch_seconds = 8"
    study = write(tmp_path / "study", FAULTS, trials=9, steps=10, faults=faults)
    run_study(study, tmp_path / "out")
    records = sorted(open_store(tmp_path / "out" / "own").trial_records(), key=lambda each: each.trial_id)
    assert len(records) == 10
    tuned = records[1:]
    failed = [record for record in tuned if record.status is Status.FAILED]
    assert len(failed) == len(SAYS), [record.error for record in records]
    for record, says in zip(failed, SAYS, strict=True):
        assert record.attempt == 1
        assert says in (record.error or "")
    assert [record.status for record in records if record not in failed] == [Status.COMPLETED] * 3
    assert caplog.text.count("keeps nothing (trial.keep)") == 1
