"""The records of W&B's offline file ``run-ID.wandb``.

wandb has no public reader of it. The file is a log as LevelDB documents it (doc/log_format.md), its records
are messages of ``wandb.proto``, which is no public interface. Checked on wandb 0.31.0.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

from lrstudy.errors import InputError
from lrstudy.safe_text import describe
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.packages import load_package

EXTRA: Final = "wandb"
_MAGIC: Final = b":W&B"
_FILE_HEADER: Final = struct.Struct("<4sHB")
_NUMBER: Final = 0xBEE1
_VERSION: Final = 0
_BLOCK: Final = 32_768
_HEADER: Final = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_COPY: Final = "Copy the file again from the machine that wrote it"
_ONLINE: Final = "send it with wandb sync and give wandb://ENTITY/PROJECT"


def read_records(where: str, content: bytes) -> Iterator[Any]:
    """Yield the file's messages in order; raises ``InputError`` where the file is damaged or cut."""
    module = load_package("wandb.proto.wandb_internal_pb2", EXTRA, where)
    for at, data in _pieces(where, content):
        try:
            message = module.Record.FromString(data)
        except Exception as error:
            remedy = f"Install the version of wandb that wrote it, or {_ONLINE}"
            raise refusal(
                where, f"the record at byte {at} cannot be parsed ({describe(error)})", remedy
            ) from error
        yield message


def _pieces(where: str, content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the place and the data of each record, put together from its parts."""
    _check_header(where, content)
    at, end = _FILE_HEADER.size, len(content)
    begun, parts = 0, list[bytes]()
    while at < end:
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size:
            at += left
            continue
        if at + _HEADER.size > end:
            raise _cut(where, begun if parts else at)
        checksum, length, kind = _HEADER.unpack_from(content, at)
        if length > left - _HEADER.size or not _FULL <= kind <= _LAST:
            raise _damaged(where, at)
        if at + _HEADER.size + length > end:
            raise _cut(where, begun if parts else at)
        data = content[at + _HEADER.size : at + _HEADER.size + length]
        if checksum != zlib.crc32(data, zlib.crc32(bytes((kind,)))) or (kind in (_FULL, _FIRST)) == bool(
            parts
        ):
            raise _damaged(where, at)
        begun = begun if parts else at
        parts.append(data)
        if kind in (_FULL, _LAST):
            yield begun, b"".join(parts)
            parts = []
        at += _HEADER.size + length
    if parts:
        raise _cut(where, begun)


def _check_header(where: str, content: bytes) -> None:
    if len(content) < _FILE_HEADER.size or not content.startswith(_MAGIC):
        raise refusal(where, "is not a file of an offline W&B run", "Give the folder wandb/offline-run-…")
    _, number, version = _FILE_HEADER.unpack_from(content)
    if (number, version) != (_NUMBER, _VERSION):
        message = f"has version {version} of W&B's format; lrstudy reads version {_VERSION}"
        raise refusal(where, message, f"Upgrade lrstudy, or {_ONLINE}")


def _cut(where: str, at: int) -> InputError:
    remedy = f"{_COPY}; if its training was killed while it wrote, drop that record: truncate -s {at} FILE"
    return refusal(where, f"ends inside the record that begins at byte {at}", remedy)


def _damaged(where: str, at: int) -> InputError:
    return refusal(where, f"is damaged: the record at byte {at} does not match its checksum", _COPY)
