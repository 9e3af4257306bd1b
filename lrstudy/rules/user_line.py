"""The line of users' code that runs at the moment, for messages about what it does."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from lrstudy.rules.source_files import is_installed


def calling_line() -> str:
    """Return `` (file, line N)`` of the innermost frame of users' code in this thread; empty if none is."""
    return _line_above(sys._getframe(1))  # noqa: SLF001 - the documented way to a caller


def line_of_thread(thread: threading.Thread) -> str:
    """Return `` (file, line N)`` of users' code that a thread runs; empty if it runs none."""
    frames = sys._current_frames()  # noqa: SLF001 - the documented way to the threads' frames
    return _line_above(frames.get(thread.ident or 0))


def _line_above(frame: FrameType | None) -> str:
    while frame is not None and is_installed(frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else line_text(frame.f_code.co_filename, frame.f_lineno)


def defining_line(function: Callable[..., Any]) -> str:
    """Return `` (file, line N)`` where a function or a class is defined; empty if that is unknown."""
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    return "" if code is None else line_text(code.co_filename, code.co_firstlineno)


def line_text(file: str, line: int | None) -> str:
    """Return a place in users' code as the messages write it."""
    return f" ({file}, line {line})"
