"""Text that came from users' code, made fit for the store, the log, a terminal and every tracker.

An exception may carry anything: bytes of a file name that no encoding has, a terminal's commands, megabytes,
or no text at all because asking for it raises. It passes through here once, where it enters.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Final

# A store keeps the text of each failed trial, and a terminal shows the first one.
_LIMIT: Final = 20_000
_KEPT: Final = ("\n", "\t")
_HEADER: Final = "Traceback (most recent call last):\n"


def safe_text(text: str, limit: int = _LIMIT) -> str:
    r"""Return ``text`` with what is not printable as escapes, and its middle left out if it is long.

    >>> safe_text("caf\udce9\x00\x1b[2J\nline 2")
    'caf\\udce9\\x00\\x1b[2J\nline 2'
    >>> safe_text("a" * 10 + "b" * 100 + "c" * 10, limit=20)
    'aaaaaaaaaa\n[100 characters left out]\ncccccccccc'
    """
    text = text.replace("\r\n", "\n")
    if len(text) > limit:
        half = limit // 2
        left_out = f"\n[{len(text) - 2 * half} characters left out]\n"
        text = text[:half] + left_out + text[-half:]
    if all(part.isprintable() for line in text.split("\n") for part in line.split("\t")):
        return text
    return "".join(c if c.isprintable() or c in _KEPT else _escaped(c) for c in text)


def safe_line(text: str) -> str:
    r"""Return ``text`` with all that is not printable, line breaks included, as escapes.

    >>> safe_line("step\x1b[2J\n")
    'step\\x1b[2J\\n'
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def can_be_encoded(text: str) -> bool:
    """Return True if ``text`` has no part of a file name that UTF-8 cannot encode."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def text_of(value: object) -> str:
    """Return ``str(value)`` as safe text, also where asking for it raises."""
    return safe_text(_text_or(lambda: str(value), f"<{type(value).__name__} whose text cannot be had>"))


def describe(error: BaseException) -> str:
    """Return an exception in one piece of safe text: its type and what it says.

    >>> describe(ValueError("no rows"))
    'ValueError: no rows'
    """
    said = text_of(error)
    return f"{safe_text(type(error).__name__)}: {said}" if said else safe_text(type(error).__name__)


def traceback_text(error: BaseException, own: str) -> str:
    """Return the traceback of an exception without the frames of the package in the folder ``own``.

    Its causes and, of a group, its members are included.
    """

    def trace() -> str:
        whole = traceback.TracebackException.from_exception(error)
        _leave_out(whole, own, set())
        return "".join(whole.format()).removeprefix(_HEADER).strip()

    # Anything may be odd about a user's exception; that it happened must be told all the same.
    return safe_text(_text_or(trace, "")) or describe(error)


def _leave_out(part: traceback.TracebackException, own: str, seen: set[int]) -> None:
    """Take the frames above the user's out of each exception of a chain."""
    if id(part) in seen:
        return
    seen.add(id(part))
    frames = list(part.stack)
    first = next((i for i, frame in enumerate(frames) if not frame.filename.startswith(own)), 0)
    part.stack = traceback.StackSummary.from_list(frames[first:])
    for other in (part.__cause__, part.__context__, *(part.exceptions or ())):
        if other is not None:
            _leave_out(other, own, seen)


def _text_or(ask: Callable[[], str], otherwise: str) -> str:
    try:
        return str(ask())
    except Exception:  # noqa: BLE001 - whatever the user's own __str__ does
        return otherwise
