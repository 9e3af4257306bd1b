"""A process of a DataLoader that is killed is a lost worker: the trial continues."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import pytest
import torch
from torch.utils.data import dataloader

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Status
from lrstudy.spec import load_study
from lrstudy.store import open_store
from lrstudy.tasks import load_data
from lrstudy.tuning.fault import Fault, fault_of

# In a thread, as in a worker of Ray, and in the main thread, where torch hears of the end at once.
READ = """
import os
import signal
import threading

from torch.utils.data import DataLoader, Dataset

from lrstudy.tuning.fault import fault_of

ENDS = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit code": lambda: os._exit(3),
    "exception": lambda: {}["a missing row"],
}


class Ending(Dataset):
    def __init__(self, end):
        self.end = end

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            self.end()
        return index


def read(place, name, end):
    try:
        list(DataLoader(Ending(end), batch_size=2, num_workers=1))
    except Exception as error:
        print(f"{place}, {name}: {fault_of(error)}", flush=True)


for name, end in ENDS.items():
    thread = threading.Thread(target=read, args=("thread", name, end))
    thread.start()
    thread.join()
read("main", "exit code", ENDS["exit code"])
os._exit(0)  # torch may raise the error again at any later moment
"""


def test_a_process_that_reads_and_is_killed_is_a_lost_worker() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", READ], check=True, capture_output=True, text=True, timeout=300
    )
    assert ended.stdout.splitlines() == [
        "thread, killed: lost worker",
        "thread, exit code: lost worker",  # torch does not know it there
        "thread, exception: error",
        "main, exit code: error",
    ]


def test_a_process_that_ends_while_it_hands_over_a_batch_is_lost_too() -> None:
    # torch asks the process for each tensor by a connection; only an error of that one counts.
    def gone(place: str, innermost: Callable[[], object]) -> BaseException:
        code = compile("innermost()", place, "exec")
        try:
            exec(code, {"innermost": innermost})  # a frame of that file
        except (OSError, EOFError) as error:
            return error
        raise AssertionError("nothing was raised")

    def connect() -> object:
        return connection.Client("/no/such/socket", "AF_UNIX")

    assert fault_of(gone(dataloader.__file__, connect)) is Fault.LOST
    assert fault_of(gone(__file__, connect)) is Fault.ERROR
    assert fault_of(gone(dataloader.__file__, Path("/no/such/file").read_text)) is Fault.ERROR


MODULE = """
import os
import signal
import sys
from pathlib import Path

import torch
from torch.utils.data import Dataset

KILLED = Path(__file__).with_name("killed")  # the process that reads is killed once, in a second epoch


class Points(Dataset):
    classes = 3

    def __init__(self, rows):
        self.rows, self.read = rows, 0

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        self.read += 1
        # The processes that check the study and that compare are spared.
        if self.read > self.rows and "default_worker" in " ".join(sys.orig_argv) and not KILLED.exists():
            KILLED.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.randn(4) + index % 3, index % 3


def make():
    return {"train": Points(64), "validation": Points(16), "test": Points(16)}
"""

STUDY = """
name = "reading"
[task]
dataset = "reading_parts:make"
model = "softmax-regression"
batch_size = 16
epochs = 4
loader = { workers = 1 }
[budget]
trials = 1
confirm_seeds = 1
search = "random"
stop = "never"
[target]
values = [0.9]
[faults]
checkpoint_epochs = 1
checkpoint_seconds = 0
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
"""


@pytest.mark.cluster
def test_a_trial_whose_reader_is_killed_continues_to_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reading_parts.py").write_text(MODULE)
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    ended = subprocess.run(
        [sys.executable, "-m", "lrstudy", "run", "study.toml", "--out", "."],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    store = open_store(tmp_path / "reading")
    records = store.trial_records()
    assert {record.status for record in records} == {Status.COMPLETED}
    assert sorted(record.attempt for record in records) == [1, 2]
    monkeypatch.syspath_prepend(tmp_path)
    study = load_study(file)
    for record in records:
        config = TrialConfig(
            record.trial_id, record.phase, "fixed", "fixed", dict(record.params), record.seed
        )
        data = load_data(study.task, 0, None)
        undisturbed = list(Training(study, data, config, torch.device("cpu")).run())
        rows = [row for key, row in store.evaluation_records() if key.trial_id == record.trial_id]
        rows.sort(key=lambda row: row.evaluation)
        assert [row.train_loss for row in rows] == [row.train_loss for row in undisturbed]
