"""The line of users' code that runs at the moment, for messages about what it does."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from lrstudy.rules.source_files import is_installed


def calling_line() -> str:
    """Return `` (file, line N)`` of the innermost frame of users' code in this thread; empty if none is."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller
    while frame is not None and is_installed(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    return "" if frame is None else line_text(frame.f_code.co_filename, frame.f_lineno)


def defining_line(function: Callable[..., Any]) -> str:
    """Return `` (file, line N)`` where a function or a class is defined; empty if that is unknown."""
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004 - not a test
    return "" if code is None else line_text(code.co_filename, code.co_firstlineno)


def line_text(file: str, line: int | None) -> str:
    """Return a place in users' code as the messages write it."""
    return f" ({file}, line {line})"
