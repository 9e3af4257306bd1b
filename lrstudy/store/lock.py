"""One writer per folder on a local or mounted file system, by an advisory lock."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import IO, Final

from lrstudy.store.problems import store_error, writing

_FILE: Final = ".writer.lock"
_HELD: Final = (errno.EACCES, errno.EAGAIN)


class FolderLock:
    """Held while the process lives; the kernel gives it up when the process dies, however it dies.

    The file says who holds it. It is only read to tell the user, never trusted: a process id may have
    been given to another process since.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._file: IO[str] | None = None
        while self._file is None:
            self._file = self._try()

    def release(self) -> None:
        """Give it up and remove the file; doing so twice is harmless."""
        if self._file is not None:
            # Removed while still held: who opened it meanwhile notices that it is not the folder's any more.
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _try(self) -> IO[str] | None:
        """The locked file, or None when it was removed in between and is worth another try."""
        with writing(str(self._path.parent)):
            file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                holder = _holder(file)
                file.close()
                raise store_error(
                    str(self._path.parent),
                    f"another lrstudy is writing here ({holder})",
                    "Wait for it to end or stop it, or choose another --out",
                ) from error
            # A mount without locks (ENOLCK, ENOTSUP): the user's own care has to do.
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


def holder_of(folder: Path) -> str | None:
    """Who is writing in a folder, in words; None where nobody is."""
    path = folder / _FILE
    try:
        file = path.open("r+")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
