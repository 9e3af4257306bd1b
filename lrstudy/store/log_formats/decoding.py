"""A file's bytes as text: compressed or not, in UTF-8 or UTF-16; other kinds of file are refused by name."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Final

from lrstudy.store.log_formats.table import refusal

# A log of ten million rows is smaller; a device or a decompression bomb is not.
_LARGEST: Final = 1 << 30
_CSV: Final = "Give a CSV or Parquet file with one row per epoch or evaluation"
_UNPACK: Final = "Unpack it first"
_KINDS: Final = (
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet", "Unpack it, or save the sheet as CSV"),
    (b"BZh", "is compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "is compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "is an old spreadsheet", "Save the sheet as CSV"),
    (b"ARROW1", "is an Arrow (Feather) file", "Write it as Parquet or CSV"),
    (b"PARE", "is an encrypted Parquet file", "Write it without encryption"),
    (b"\x89HDF", "is an HDF5 file", _CSV),
    (b"SQLite format 3", "is an SQLite database", "Export the histories as CSV"),
    (b":W&B", "is W&B's own log", "Export the run's history as CSV: api.run(...).history().to_csv(...)"),
    (b"\x80\x02", "is a pickle", _CSV),
    (b"\x80\x03", "is a pickle", _CSV),
    (b"\x80\x04", "is a pickle", _CSV),
    (b"\x80\x05", "is a pickle", _CSV),
)
_EVENTS: Final = b"brain.Event:"
_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def read_bytes(where: str, file: Path) -> bytes:
    """The file's content, unpacked where it is compressed with gzip."""
    if file.is_dir():
        raise refusal(where, "is a folder", f"Name the files in it: {where.rstrip('/')}/*.csv")
    if file.is_char_device() or file.is_block_device():
        raise refusal(where, "is a device", _CSV)
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
            if content.startswith(b"\x1f\x8b"):
                with gzip.open(io.BytesIO(content)) as unpacked:
                    content = unpacked.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        message = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise refusal(where, f"cannot be read ({message})", _CSV) from error
    if len(content) > _LARGEST:
        raise refusal(where, f"is larger than {_LARGEST >> 30} GiB", "Give a row per epoch, not per step")
    return content


def as_text(where: str, content: bytes, suffix: str) -> str:
    """The text that the bytes are; raises ``InputError`` for what is no text, with the line of the fault."""
    kind = next(((what, remedy) for magic, what, remedy in _KINDS if content.startswith(magic)), None)
    if kind is not None:
        raise refusal(where, *kind)
    if _EVENTS in content[:64]:
        remedy = "Export its scalars as a table with a row per epoch or evaluation and a column per metric"
        raise refusal(where, "is a TensorBoard event file", remedy)
    if suffix in (".parquet", ".pq"):
        raise refusal(where, "is not a Parquet file, although its name says so", _CSV)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None) or _unmarked(content)
    try:
        text = content.decode(encoding).replace("\ufeff", "")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = "UTF-8" if encoding == "utf-8" else encoding.upper()
        raise refusal(where, f"is not text in {what}", "Save it as UTF-8", line) from error
    damaged = text.find("\0")
    if damaged >= 0:
        line = text[:damaged].count("\n") + 1
        raise refusal(where, "holds NUL bytes", "It is damaged, or no text: write it again", line)
    return text


def _unmarked(content: bytes) -> str:
    """UTF-16 without a byte order mark is told by its zeros: every second byte of plain English."""
    start = content[:2000]
    zeros = [start[at::2].count(0) / max(1, len(start) // 2) for at in (0, 1)]
    if zeros[1] > 0.6 and zeros[0] < 0.1:
        return "utf-16-le"
    return "utf-16-be" if zeros[0] > 0.6 and zeros[1] < 0.1 else "utf-8"
