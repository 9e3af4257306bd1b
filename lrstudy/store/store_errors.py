"""Turns what file systems and Parquet readers raise into ``StoreError``s that name the remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from lrstudy.errors import Problem, StoreError

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


def store_error(where: str, message: str, remedy: str) -> StoreError:
    """A ``StoreError`` with one problem."""
    return StoreError(Problem(where, "", message, remedy))


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Any failure to write at ``where`` becomes a ``StoreError``."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise store_error(where, *_write_problem(error)) from error


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Any failure to read what is at ``where`` becomes a ``StoreError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise store_error(where, "is not there", "Check the path.") from error
    except (OSError, pa.ArrowException) as error:
        raise store_error(where, *_read_problem(error)) from error


def _write_problem(error: BaseException) -> tuple[str, str]:
    number = getattr(error, "errno", None)
    if number in _NO_SPACE:
        return (
            "the disk is full",
            "Free some space and run the same command again: nothing is damaged, and stored data are kept",
        )
    if number in _NOT_ALLOWED:
        return "cannot be written (permission denied)", "Choose another --out, or change its permissions"
    return (
        f"cannot be written ({_one_line(error)})",
        "Check that the place exists and is writable, or choose another --out",
    )


def _read_problem(error: BaseException) -> tuple[str, str]:
    if getattr(error, "errno", None) in _NOT_ALLOWED:
        return "cannot be read (permission denied)", "Change its permissions"
    return f"cannot be read ({_one_line(error)})", "Check the path, its permissions and the connection"


def _one_line(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    text = str(strerror or error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
