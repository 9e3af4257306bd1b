"""Standard streams that cannot end a command: of any encoding, full, closed, or without a reader."""

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

# Replacements for an encoding that lacks them; other characters lose accents or become a question mark.
_PLAIN: Final = {
    "–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "│": "|", "‘": "'", "’": "'", "“": '"', "”": '"',
    "…": "...", "×": "x", "÷": "/", "·": "*", "•": "*", "█": "#", "→": "->", "≤": "<=", "≥": ">=",
    "±": "+/-", "∞": "inf", "λ": "lambda", "β": "beta", "σ": "sigma",
}  # fmt: skip
_ERRORS: Final = "lrstudy.plain"


class _Descriptor(io.FileIO):
    """Writes to a file descriptor; drops the data that cannot be written and keeps the error in ``lost``."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.lost: OSError | None = None
        self.ignores_broken_pipe = False

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        whole = len(rest)
        while len(rest) and self.lost is None:
            try:
                written = super().write(rest)
            except OSError as error:
                self.lost = error
                if error.errno == errno.EPIPE and not self.ignores_broken_pipe:
                    raise SystemExit(EXIT_DONE) from None  # the reader (head, less) wants no more
                break
            if written is None:  # another process has set the descriptor to non-blocking
                select.select([], [self], [])
            rest = rest[written or 0 :]
        return whole


def guard_streams() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` by streams that never raise.

    A closed descriptor is opened on /dev/null first: else the next file that is opened would get its number,
    and then the output of every library.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    codecs.register_error(_ERRORS, _plain)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def lost_output() -> OSError | None:
    """Flush the streams; return the error that lost standard output, unless its reader closed the pipe."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    descriptor = _descriptor(sys.stdout)
    if descriptor is None or descriptor.lost is None or descriptor.lost.errno == errno.EPIPE:
        return None
    return descriptor.lost


@contextmanager
def without_readers() -> Iterator[None]:
    """Let the block continue after the reader of its output closed the pipe: a study is worth more."""
    guarded = [_descriptor(stream) for stream in (sys.stdout, sys.stderr)]
    descriptors = [descriptor for descriptor in guarded if descriptor is not None]
    for descriptor in descriptors:
        descriptor.ignores_broken_pipe = True
    try:
        yield
    finally:
        for descriptor in descriptors:
            descriptor.ignores_broken_pipe = False


def _guarded(stream: Any, number: int) -> Any:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    buffer = io.BufferedWriter(_Descriptor(number))
    return io.TextIOWrapper(buffer, encoding, _ERRORS, line_buffering=number == 2 or os.isatty(number))


def _descriptor(stream: Any) -> _Descriptor | None:
    """Return the descriptor of a guarded stream; None if a test or a live display has replaced the stream."""
    stream = getattr(stream, "rich_proxied_file", stream)
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Descriptor) else None


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return a replacement in ASCII for a character that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not valid text
        return bytes([ord(character) - 0xDC00]), error.start + 1
    plain = _PLAIN.get(character) or unicodedata.normalize("NFKD", character)
    return plain.encode("ascii", "ignore").decode() or "?", error.start + 1
