"""One writer per folder: by the kernel's lock on a disk of this machine, by a lease everywhere else."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from lrstudy.store.lease import LeaseLock, LeaseWatch, Timing
from lrstudy.store.location import Location
from lrstudy.store.store_errors import store_error, writing

_FILE: Final = ".writer.lock"
_HELD: Final = (errno.EACCES, errno.EAGAIN)
# A reader that asks who writes has the kernel's lock for a moment; a writer has it for long.
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.05

# Where two machines may mount the same folder, and the kernel's lock may hold on each of them alone.
_NETWORK: Final = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "lustre", "glusterfs", "gpfs", "beegfs", "afs")
_MOUNTS: Final = Path("/proc/self/mounts")


class WriterLock(Protocol):
    """The right to write a store's folder: at most one process has it."""

    def check(self) -> None:
        """Raise ``StoreError`` if the right was lost. Asked before and after each write."""

    def release(self) -> None:
        """Give it up; doing so twice is harmless."""


def lock_folder(folder: Location) -> WriterLock:
    """Take the right to write a folder; raises ``StoreError`` naming the process that has it."""
    if folder.local is None:
        return LeaseLock(folder)
    lock = FolderLock(folder.local)
    if lock.is_sure and not _on_network(folder.local):
        return lock
    try:
        return _Both(lock, LeaseLock(folder))
    except BaseException:
        lock.release()
        raise


def holder_of(folder: Location) -> str | None:
    """Return the process that writes in a folder, in words; None where none is known to."""
    return WriterWatch(folder).holder()


class WriterWatch:
    """The process that writes in a folder, from several looks (``LeaseWatch``)."""

    def __init__(self, folder: Location, timing: Timing | None = None) -> None:
        self._folder, self._lease = folder, LeaseWatch(folder, timing)

    def holder(self) -> str | None:
        """Return the process that writes now, in words; None where none is known to."""
        if self._folder.local is not None and (holder := _kernel_holder(self._folder.local)):
            return holder
        return self._lease.holder()


class FolderLock:
    """Held while the process lives; the kernel gives it up when the process dies, however it dies.

    The file says who holds it. It is only read to tell the user, never trusted: a process id may have
    been given to another process since. ``is_sure`` is False on a mount that has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._file: IO[str] | None = None
        self.is_sure = True
        tries = 0
        while self._file is None:
            tries += 1
            self._file = self._try(is_last=tries >= _TRIES)

    def check(self) -> None:
        """The kernel never takes a lock away."""

    def release(self) -> None:
        """Give it up and remove the file; doing so twice is harmless."""
        if self._file is not None:
            # Removed while still held: who opened it in between notices that it was removed.
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _try(self, *, is_last: bool) -> IO[str] | None:
        """Return the locked file, or None when another try is worth it.

        The file was removed in between, or somebody holds it and this is not the last try.
        """
        with writing(str(self._path.parent)):
            file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                holder = _holder(file)
                file.close()
                if not is_last:
                    time.sleep(_PAUSE_SECONDS)
                    return None
                raise store_error(
                    str(self._path.parent),
                    f"another lrstudy is writing here ({holder})",
                    "Wait for it to end or stop it, or choose another --out",
                ) from error
            self.is_sure = False  # a mount without locks (ENOLCK, ENOTSUP)
        if not self._is_current(file):
            file.close()
            return None
        with writing(str(self._path)):
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            file.flush()
        return file

    def _is_current(self, file: IO[str]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class _Both:
    """The kernel's lock, which tells the processes of one machine apart at once, and the lease."""

    lock: FolderLock
    lease: LeaseLock

    def check(self) -> None:
        self.lease.check()

    def release(self) -> None:
        self.lease.release()
        self.lock.release()


def _on_network(folder: Path) -> bool:
    """Return True if other machines may mount this folder too."""
    try:
        mounts = [line.split()[1:3] for line in _MOUNTS.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return False
    place = folder.resolve()
    # The last mount of the deepest folder above is the one that is seen.
    above = [(Path(at), kind) for at, kind in mounts if place.is_relative_to(at)]
    return bool(above) and max(above, key=lambda mount: len(mount[0].parts))[1].startswith(_NETWORK)


def _kernel_holder(folder: Path) -> str | None:
    path = folder / _FILE
    try:
        file = path.open("r+")
    except OSError:
        return None
    with file:
        try:
            # Shared: two readers do not take each other for a writer.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return _holder(file) if error.errno in _HELD else None
    return None


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = json.load(file)
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "its process is just starting"
