"""A process of a DataLoader that is killed is a lost worker: the trial continues."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

from torch.utils.data import dataloader

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
    except (RuntimeError, KeyError, OSError, EOFError) as error:
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
