"""A process beside the driver that ends whatever Ray has left running, however the driver ended.

Ray stops what it started only if the driver has the time to ask for it: after SIGKILL, or an exit in the
middle of Ray's start, agents, workers and what workers started stay. All of it inherits an environment
variable with a random value, by which this process finds it and nothing else. It runs as a script on the
standard library alone. Without ``/proc`` it is not started: on macOS, Ray itself has such a process.
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
_LOOK_SECONDS: Final = 5.0  # between looks at the processes that were started
_POLL_SECONDS: Final = 0.05
_GRACE_SECONDS: Final = 3.0  # from SIGTERM to SIGKILL
_LIMIT_SECONDS: Final = 50.0  # what SIGKILL does not end until then sleeps in the kernel
_WAIT_SECONDS: Final = 10.0  # that the driver waits at its own end


@contextmanager
def reaper() -> Iterator[str]:
    """End, after the block or this process, every process whose environment has the yielded mark."""
    mark = secrets.token_hex(16)
    if not (_PROCESSES / "self" / "environ").exists():
        yield mark
        return
    process = subprocess.Popen(  # noqa: S603 - this interpreter, on this file
        # Isolated: neither the user's modules nor variables have a part in it. In a new session: what is
        # sent to the driver's terminal or process group does not reach it.
        [sys.executable, "-I", "-S", __file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={},
    )
    assert process.stdin is not None
    with suppress(OSError):  # it is gone: Ray's own means have to do
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
        self._known: dict[int, str] = {}  # when each was started: the kernel uses numbers again

    def running(self) -> set[int]:
        """Return those that run now; one that was seen once is known even when its parent has ended."""
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
    """Return the parent and the start time of each process that runs; zombies have ended."""
    table = {}
    for folder in _PROCESSES.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":  # else it has ended, and waits for its parent to notice
            table[int(folder.name)] = int(fields[1]), fields[19]
    return table


def end(family: Family) -> None:
    """Ask every process to end, then make it: also one that is stopped, or that starts others."""
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _LIMIT_SECONDS)):
        deadline, asked = time.monotonic() + seconds, set[int]()
        while time.monotonic() < deadline:
            running = family.running()
            if not running:
                return
            for pid in running - asked:
                with suppress(OSError):
                    os.kill(pid, number)
            asked |= running if number == signal.SIGTERM else set()
            time.sleep(_POLL_SECONDS)


def main(driver: int) -> None:
    """Wait for the driver's word or end, then end what carries its mark."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark = sys.stdin.readline().strip()
    if not mark:
        return  # the driver ended before it started anything
    family = Family(mark)
    # The pipe alone does not tell: a fork of the driver may hold its other end.
    while os.getppid() == driver and not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        family.running()
    end(family)


if __name__ == "__main__":
    main(int(sys.argv[1]))
