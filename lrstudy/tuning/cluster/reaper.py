"""A process beside the driver that ends all processes that Ray has left running after the driver's end.

Ray stops its processes only if the driver has the time to request it: after SIGKILL, or an exit in the
middle of Ray's start, agents, workers and their children stay. All of them inherit an environment variable
with a random value, by which this process finds them and no others. It runs as a script with only the
standard library. Without ``/proc`` it is not started: on macOS, Ray has such a process.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "LRSTUDY_SESSION"

_PROCESSES: Final = Path("/proc")
# Between reads of the process table. Ray's processes set a title, which overwrites the mark: one that
# starts and loses its parent between two reads stays unknown. Reads cost at most a part of 1/_LOOK_SHARE.
_LOOK_SECONDS: Final = 0.25
_LOOK_SHARE: Final = 50
_POLL_SECONDS: Final = 0.05
_GRACE_SECONDS: Final = 3.0  # from SIGTERM to SIGKILL
_LIMIT_SECONDS: Final = 50.0  # a process that SIGKILL has not ended by then is blocked in the kernel
_WAIT_SECONDS: Final = 10.0  # the driver's wait at its end


@contextmanager
def reaper() -> Iterator[str]:
    """End every process whose environment has the yielded mark, after the block or this process ends."""
    mark = secrets.token_hex(16)
    if not (_PROCESSES / "self" / "environ").exists():
        yield mark
        return
    process = subprocess.Popen(  # noqa: S603 - this interpreter, on this file
        # Isolated from the user's modules and variables. In a new session: signals to the driver's terminal
        # or process group do not reach it.
        [sys.executable, "-I", "-S", __file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={},
    )
    assert process.stdin is not None
    with suppress(OSError):  # it has ended: only Ray's cleanup is left
        process.stdin.write(f"{mark}\n".encode())
        process.stdin.flush()
    try:
        yield mark
    finally:
        with suppress(OSError):
            process.stdin.write(b"end\n")  # closing is not enough: a fork of this process may hold it open
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_WAIT_SECONDS)


class Family:
    """The processes with a mark in their environment, and all their descendants."""

    def __init__(self, mark: str) -> None:
        self._entry = f"{VARIABLE}={mark}".encode()
        self._known: dict[int, str] = {}  # start times: the kernel reuses process ids

    def running(self) -> set[int]:
        """Return the ids of those that run now; one seen before is included even if its parent has ended."""
        table = process_table()
        members = {pid for pid, start in self._known.items() if pid in table and table[pid][1] == start}
        members |= {pid for pid in table if pid not in members and self._is_marked(pid)}
        while more := {pid for pid, (parent, _) in table.items() if parent in members and pid not in members}:
            members |= more
        members.discard(os.getpid())
        self._known = {pid: table[pid][1] for pid in members}
        return members

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._entry in (_PROCESSES / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or it has ended
            return False


def process_table() -> dict[int, tuple[int, str]]:
    """Return the parent and the start time of each running process, without zombies."""
    table = {}
    for folder in _PROCESSES.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":  # else it has ended, and its parent has not collected it
            table[int(folder.name)] = int(fields[1]), fields[19]
    return table


def end(family: Family) -> None:
    """Send every process SIGTERM, then SIGKILL, including stopped ones and those started since."""
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _LIMIT_SECONDS)):
        deadline, signalled = time.monotonic() + seconds, set[int]()
        while time.monotonic() < deadline:
            running = family.running()
            if not running:
                return
            for pid in running - signalled:
                with suppress(OSError):
                    os.kill(pid, number)
            signalled |= running if number == signal.SIGTERM else set()
            time.sleep(_POLL_SECONDS)


def main(driver: int) -> None:
    """Wait until the driver signals its end or ends, then end the processes with its mark."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark = sys.stdin.readline().strip()
    if not mark:
        return  # the driver ended before it started anything
    family = Family(mark)
    # The pipe alone is not enough: a fork of the driver may hold its other end.
    wait = 0.0
    while os.getppid() == driver and not select.select([sys.stdin], [], [], wait)[0]:
        before = time.process_time()
        family.running()
        wait = max(_LOOK_SECONDS, _LOOK_SHARE * (time.process_time() - before))
    end(family)


if __name__ == "__main__":
    main(int(sys.argv[1]))
