"""Standard streams that never end a command: of any encoding, full, closed, or read by nobody any more."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from lrstudy.errors import EXIT_DONE

# For an encoding that lacks them; other characters lose their accents, or become a question mark.
_PLAIN: Final = {
    "–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "│": "|", "‘": "'", "’": "'", "“": '"', "”": '"',
    "…": "...", "×": "x", "÷": "/", "·": "*", "•": "*", "█": "#", "→": "->", "≤": "<=", "≥": ">=",
    "±": "+/-", "∞": "inf", "λ": "lambda", "β": "beta", "σ": "sigma",
}  # fmt: skip
_ERRORS: Final = "lrstudy.plain"


class _Descriptor(io.FileIO):
    """Writes to a file descriptor; what cannot be written is dropped, and why is kept in ``lost``."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.lost: OSError | None = None
        self.goes_on = False  # also when nobody reads any more

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        whole = len(rest)
        while len(rest) and self.lost is None:
            try:
                written = super().write(rest)
            except OSError as error:
                self.lost = error
                if error.errno == errno.EPIPE and not self.goes_on:
                    raise SystemExit(EXIT_DONE) from None  # whoever read has all they wanted
                break
            if written is None:  # another process has set it to return at once
                select.select([], [self], [])
            rest = rest[written or 0 :]
        return whole


def guard_streams() -> None:
    """Put streams that never raise in the place of ``sys.stdout`` and ``sys.stderr``.

    A closed descriptor is opened on nothing first: the next file to be opened would get its number, and what
    any library prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    codecs.register_error(_ERRORS, _plain)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def lost_output() -> OSError | None:
    """Flush the streams; return why standard output could not be written, unless its reader left."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    descriptor = _descriptor(sys.stdout)
    if descriptor is None or descriptor.lost is None or descriptor.lost.errno == errno.EPIPE:
        return None
    return descriptor.lost


@contextmanager
def without_readers() -> Iterator[None]:
    """Let the block go on when whoever read its output has left: a study is more than what it prints."""
    found = [_descriptor(stream) for stream in (sys.stdout, sys.stderr)]
    descriptors = [descriptor for descriptor in found if descriptor is not None]
    for descriptor in descriptors:
        descriptor.goes_on = True
    try:
        yield
    finally:
        for descriptor in descriptors:
            descriptor.goes_on = False


def _guarded(stream: Any, number: int) -> Any:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    buffer = io.BufferedWriter(_Descriptor(number))
    return io.TextIOWrapper(buffer, encoding, _ERRORS, line_buffering=number == 2 or os.isatty(number))


def _descriptor(stream: Any) -> _Descriptor | None:
    """Return what is below a guarded stream; a test or a live display may have put another in its place."""
    stream = getattr(stream, "rich_proxied_file", stream)
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Descriptor) else None


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write a character that the encoding lacks in those that it has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that was no text
        return bytes([ord(character) - 0xDC00]), error.start + 1
    plain = _PLAIN.get(character) or unicodedata.normalize("NFKD", character)
    return plain.encode("ascii", "ignore").decode() or "?", error.start + 1
