"""Checks of Ray's requirements besides processors: a folder for its sockets, a token, open files."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Final

from lrstudy.errors import Problem

# In Ray's order; on macOS it does not read the second.
_VARIABLES: Final = ("RAY_TMPDIR",) if sys.platform == "darwin" else ("RAY_TMPDIR", "TMPDIR")
# The longest name that Ray gives a socket, below its temporary folder.
_SOCKET: Final = "ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
_SOCKET_BYTES: Final = 103 if sys.platform == "darwin" else 107  # the limit of the kernel's address
_OPEN_FILES: Final = 4096
_FEWEST_OPEN_FILES: Final = 256


def temporary_folder() -> tuple[Path, str]:
    """Return the folder of Ray's files and sockets, and the variable that sets it (empty if none does)."""
    for name in _VARIABLES:
        if name in os.environ:
            return Path(os.environ[name]), name
    return Path("/tmp"), ""  # noqa: S108 - Ray's default


def check_machine() -> list[Problem]:
    """Return the problems that keep Ray from starting here, each with the setting that causes it."""
    return [*_temporary_problems(*temporary_folder()), *_file_problems(), *_token_problems()]


def _temporary_problems(folder: Path, variable: str) -> list[Problem]:
    where, key, value = ("environment", variable, str(folder)) if variable else (str(folder), "", None)

    def problem(message: str, remedy: str) -> list[Problem]:
        return [
            Problem(where, key, message, remedy)
            if value is None
            else Problem(where, key, message, remedy, value)
        ]

    if not folder.is_absolute():
        return problem("is not an absolute path, and Ray keeps its files there", "Set RAY_TMPDIR=/tmp.")
    longest = f"{folder}/{_SOCKET.format(pid=os.getpid())}"
    if (over := len(os.fsencode(longest)) - _SOCKET_BYTES) > 0:
        limit = f"Ray's sockets are below it, and their paths have at most {_SOCKET_BYTES}"
        message = f"is {over} bytes too long: {limit}"
        return problem(message, "Set RAY_TMPDIR to a shorter folder, for instance RAY_TMPDIR=/tmp.")
    try:
        (folder / "ray").mkdir(mode=0o777, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "ray"):
            pass
    except OSError as error:
        message = f"Ray cannot keep its files there: {error.strerror or error}"
        return problem(
            message, "Set RAY_TMPDIR to a folder that can be written, for instance RAY_TMPDIR=/tmp."
        )
    return []


def _file_problems() -> list[Problem]:
    """Raise this process's limit of open files as far as allowed; return a problem if it stays too low."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, hard) and soft in (resource.RLIM_INFINITY, hard):
        return []
    if soft < _OPEN_FILES and (hard == resource.RLIM_INFINITY or soft < hard):
        soft = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= _FEWEST_OPEN_FILES:
        return []
    message = f"the limit of open files is too low for Ray: at least {_FEWEST_OPEN_FILES} are needed"
    return [Problem("shell", "ulimit -n", message, f"Raise it first: ulimit -n {_OPEN_FILES}.", soft)]


def _token_problems() -> list[Problem]:
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode.lower() not in ("token", "disabled"):
        remedy = "Set it to token or disabled, or leave it out."
        return [Problem("environment", "RAY_AUTH_MODE", "is not a mode of Ray", remedy, mode)]
    place = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if mode.lower() == "disabled" or place is None or "RAY_AUTH_TOKEN" in os.environ:
        return []
    try:
        cause = "" if Path(place).read_text(encoding="utf-8").strip() else "is empty"
    except (OSError, UnicodeDecodeError) as error:
        cause = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    remedy = "Write a token to that file, or unset the variable: Ray on this machine does not need it."
    return [Problem("environment", "RAY_AUTH_TOKEN_PATH", cause, remedy, place)] if cause else []


def provide_token() -> None:
    """Set a token for the Ray that this process starts, unless the user has one.

    Ray requires one by default and would write it to the home folder, which may not be writable. A process
    reads the variable once, so it stays set.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    try:
        exists = bool(Path("~/.ray/auth_token").expanduser().read_text(encoding="utf-8").strip())
    except (OSError, RuntimeError, UnicodeDecodeError):
        exists = False
    if not exists:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
