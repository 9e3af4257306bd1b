"""The first import of users' modules, in a child process: a module can end its process without an exception.

``os._exit()`` and a crash in C code leave nothing to catch. In a child they are an exit code or a signal, and
become a problem that names the module. All other faults of a module are left to the import in this process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from lrstudy.errors import Problem
from lrstudy.rules.user_modules import UserCode, load
from lrstudy.safe_text import safe_line

_CHILD: Final = (
    "import json, sys; sys.path[:], names, log = json.loads(sys.argv[1]); "
    "from lrstudy.rules.child_import import import_each; import_each(names, log)"
)
_DONE: Final = "."  # no module has this name
_LONGEST_LINE: Final = 200


class ChildImport:
    """A child process that imports users' modules; the end of the block ends it if it still runs."""

    def __init__(self, codes: Sequence[UserCode], folders: Sequence[Path] = ()) -> None:
        self._codes = codes
        self._child: subprocess.Popen[bytes] | None = None
        self._files = ExitStack()
        if not codes:
            return
        path = [*sys.path, *(str(folder.resolve()) for folder in folders)]
        with suppress(OSError):  # without a child, only the import in this process reports
            # Files, not pipes: a process that the module leaves behind would keep a pipe open.
            self._started = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            self._errors = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            log = self._started.fileno()  # not standard output: modules print there
            names = list(dict.fromkeys(code.name for code in codes))
            self._child = subprocess.Popen(  # noqa: S603 - this Python, with names from the study file
                [sys.executable, "-P", "-c", _CHILD, json.dumps([path, names, log])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[log],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._files.close()

    def problems(self) -> list[Problem]:
        """Wait for the child; return a problem for the module that ended it, if one did."""
        if self._child is None:
            return []
        self._child.wait()
        started = _text(self._started).splitlines()
        return [
            Problem(code.where, code.key, *_explained(code, self._child.returncode, self._errors), code.name)
            for code in self._codes
            if started and code.name == started[-1]
        ]


def import_each(names: Sequence[str], log: int) -> None:
    """Import the modules, as the child: write the name of each before its import, then end the process.

    ``log`` is the descriptor to write to. An exit code of 0 does not show that all were imported.
    """
    for name in names:
        os.write(log, f"{name}\n".encode())
        with suppress(BaseException):  # the import in the parent process reports it
            load(UserCode(name, "", ""))
    os.write(log, f"{_DONE}\n".encode())
    os._exit(0)  # no exit handlers of the modules, no wait for their threads


def _explained(code: UserCode, status: int, errors: IO[bytes]) -> tuple[str, str]:
    module = code.name.partition(":")[0]
    if status >= 0:
        message = f"importing {module} ended the process with exit code {status}, without an exception"
        return message, 'Move what ends it (os._exit?) below `if __name__ == "__main__":`.'
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    said = [line for line in _text(errors).splitlines() if line.strip()][-1:]
    last = "".join(f"; its last output: {safe_line(line)[:_LONGEST_LINE]}" for line in said)
    message = f"importing {module} crashed the process ({name}){last}"
    return message, f"Find the cause with: python -X faulthandler -c 'import {module}'."


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
