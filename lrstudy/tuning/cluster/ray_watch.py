"""A watch over the two processes without which Ray cannot work: ``gcs_server`` and ``raylet``.

If one of them ends, Ray ends the driver from its C++ code, after seconds to a minute and with an exit code
and lines that do not mention the study. It happens when a machine ends all processes of a job at once
(systemd, Slurm, a container), or when the kernel is out of memory. The watch notices it first. It watches
only processes that the driver started, not those of a remote cluster.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lrstudy.tuning.cluster.reaper import process_table

_PROCESSES: Final = Path("/proc")
_NAMES: Final = frozenset({"gcs_server", "raylet"})
_PERIOD_SECONDS: Final = 0.5
_GRACE_SECONDS: Final = 2.0  # for the driver's own handling of a signal that came to all processes


@contextmanager
def ray_watched(on_lost: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_lost``, in a thread, with the name of the first process of a local Ray that ends early.

    A session may begin and end while the block runs. Without ``/proc`` nothing is watched.
    """
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(over, on_lost), name="ray-watch", daemon=True)
    if (_PROCESSES / "self" / "stat").exists():
        thread.start()
    try:
        yield
    finally:
        over.set()


def _watch(over: threading.Event, on_lost: Callable[[str], None]) -> None:
    known: dict[int, str] = {}
    while not over.wait(_PERIOD_SECONDS):
        running = _ray_processes()
        lost = sorted(name for pid, name in known.items() if pid not in running)
        if not lost:
            known |= running
        # A session that is being closed has disconnected before it ends its processes.
        elif not _connected():
            known = running
        elif not over.wait(_GRACE_SECONDS):
            on_lost(lost[0])
            return


def _connected() -> bool:
    import ray  # not at the top: the command line must not wait for it

    return bool(ray.is_initialized())


def _ray_processes() -> dict[int, str]:
    """Return the names of this process's children that Ray requires, by process id."""
    driver, names = os.getpid(), {}
    for pid, (parent, _) in process_table().items():
        if parent != driver:
            continue
        try:
            command = (_PROCESSES / str(pid) / "cmdline").read_bytes().partition(b"\0")[0]
        except OSError:
            continue  # it has ended
        if (name := Path(os.fsdecode(command)).name) in _NAMES:
            names[pid] = name
    return names
