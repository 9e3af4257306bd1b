"""Tells a process that has ended from one that lives, where this machine can know."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, told from all others: also from a later one with its number and from those of a container.

    ``kernel`` is the machine's boot and the namespace of the process ids, ``started`` the kernel's clock tick
    at which the process began; both are empty where the system does not tell.
    """

    host: str
    pid: int
    kernel: str
    started: str

    @classmethod
    def own(cls) -> Self:
        """The process that asks."""
        return cls(socket.gethostname(), os.getpid(), _kernel(), _started(os.getpid()) or "")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """From what ``dataclasses.asdict`` made; raises ``KeyError`` or ``TypeError`` for anything else."""
        return cls(str(data["host"]), int(data["pid"]), str(data["kernel"]), str(data["started"]))

    def alive(self) -> bool | None:
        """Return True or False where this machine knows, None for another machine or container."""
        if not self.kernel or not self.started or self.kernel != _kernel():
            return None
        return _started(self.pid) == self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _kernel() -> str:
    try:
        return f"{_BOOT.read_text(encoding='ascii').strip()} {_PID_NAMESPACE.readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process began, in ticks since the boot; None for one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in brackets may hold anything, brackets and spaces too.
    state, *numbers = stat.rpartition(b")")[2].split()
    if state in (b"Z", b"X") and not _has_threads(pid):
        return None
    return numbers[18].decode()


def _has_threads(pid: int) -> bool:
    """Return True if a process whose first thread has ended has others that have not."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False
