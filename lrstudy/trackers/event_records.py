"""The records of a TensorBoard event file: their places in its bytes, and their checksums.

TensorBoard's own reader computes each checksum byte by byte in Python, 47 µs a record: eight minutes for ten
million. Here numpy computes those of all records of one length at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import InputError
from lrstudy.store.log_formats.table import refusal

Buffer: TypeAlias = bytes | mmap

# A record is the length of its data (8 bytes), the length's checksum (4), the data, its checksum (4).
_HEADER: Final = 12
_AROUND: Final = 16
_POLYNOMIAL: Final = 0x82F63B78  # CRC-32C
# Scalars are shorter. Longer records are images or graphs: their lengths are checked, their data not used.
LONGEST: Final = 1 << 16
_BLOCK: Final = 1 << 20  # bytes that are looked at together
_COPY: Final = "Copy the file again from the machine that wrote it"


class Records(NamedTuple):
    """The first byte and the length of the data of each record."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


def find_records(where: str, content: Buffer) -> Records:
    """Return the places of all records; raises ``InputError`` where the file is damaged or cut."""
    starts, lengths = [], []
    read_length = struct.Struct("<Q").unpack_from
    at, end = 0, len(content)
    while at < end:
        length = read_length(content, at)[0] if at + _HEADER <= end else end
        if at + _AROUND + length > end:
            break
        starts.append(at + _HEADER)
        lengths.append(length)
        at += _AROUND + length
    records = Records(np.array(starts, np.int64), np.array(lengths, np.int64))
    # First the lengths: beyond one that is damaged, nothing is at its place.
    check_sums(where, content, Records(records.starts - _HEADER, np.full(len(starts), 8)))
    if at < end and at + _HEADER <= end:
        check_sums(where, content, Records(np.array([at]), np.array([8])))
    if at < end:
        message = f"ends inside the record that begins at byte {at}"
        remedy = (
            f"{_COPY}; if its training was killed while it wrote, drop that record: truncate -s {at} FILE"
        )
        raise refusal(where, message, remedy)
    return records


def check_sums(where: str, content: Buffer, records: Records) -> None:
    """Raise ``InputError`` with the first record whose checksum is not the one behind its data."""
    wrong = [start for starts, rows in blocks(content, records) for start in wrong_sums(starts, rows)]
    if wrong:
        raise damaged(where, min(wrong))


def damaged(where: str, start: int) -> InputError:
    """Return the error of a record whose data, from ``start``, are not what was written."""
    message = f"is damaged: the record at byte {max(start - _HEADER, 0)} does not match its checksum"
    return refusal(where, message, _COPY)


def blocks(content: Buffer, records: Records) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield the records by length: their starts, and a row of bytes for each, its checksum at the end.

    Those above ``LONGEST`` are left out.
    """
    data = np.frombuffer(content, np.uint8)
    for length in np.unique(records.lengths[records.lengths <= LONGEST]):
        starts = records.starts[records.lengths == length]
        rows = max(1, _BLOCK // int(length + 4))
        for first in range(0, len(starts), rows):
            part = starts[first : first + rows]
            yield part, data[part[:, None] + np.arange(length + 4)]


def wrong_sums(starts: NDArray[np.int64], rows: NDArray[np.uint8]) -> list[int]:
    """Return the starts of the records in a block that do not match their checksums."""
    stored = np.ascontiguousarray(rows[:, -4:]).view("<u4")[:, 0]
    matches: NDArray[np.bool_] = _masked_crc(rows[:, :-4]) == stored
    bad: list[int] = starts[~matches].tolist()
    return bad


def _table() -> NDArray[np.uint32]:
    table: NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = table & np.uint32(1)
        table = (table >> np.uint32(1)) ^ (odd * np.uint32(_POLYNOMIAL))
    return table


_TABLE: Final = _table()


def _masked_crc(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the checksum of each row of bytes, as event files store it."""
    crc: NDArray[np.uint32] = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in np.ascontiguousarray(rows.T):
        crc = _TABLE[(crc ^ column) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    crc = ~crc
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
