"""Checksums of the store's files, kept inside them: a file and its checksum are replaced in one step.

In a Parquet file the checksum is between the last page and the footer, where Parquet allows bytes that no
reader looks at: other programs read the file as before. It covers every byte but its own. In ``study.json``
it is the last key. A file without one was written by an older lrstudy or another program, and is read as
it is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

# Not valid UTF-8, so no name in a footer can pass for it.
_MARK: Final = b"\xfflrstudy.sha256\xff"
_SIZE: Final = len(_MARK) + hashlib.sha256().digest_size
# What ends a Parquet file: the footer's length in four bytes, and the format's own mark.
_END: Final = 8
JSON_KEY: Final = "sha256"


class ChecksumError(ValueError):
    """A file's content is not what was written."""


def seal_parquet(content: bytes) -> bytes:
    """Return a Parquet file's content with its checksum."""
    start = _footer_start(content)
    digest = hashlib.sha256(content).digest()
    return b"".join((content[:start], _MARK, digest, content[start:]))


def is_sealed(content: bytes) -> bool:
    """Return True if a Parquet file's content has a checksum."""
    return _MARK in content


def check_parquet(content: bytes) -> bool:
    """Return True if the checksum holds, False if the file has none; raise ``ChecksumError`` otherwise."""
    found = content.rfind(_MARK)
    if found < 0:
        return False
    if found + _SIZE != _footer_start(content):
        raise ChecksumError("its footer is not where it was written")
    digest = hashlib.sha256(memoryview(content)[:found])
    digest.update(memoryview(content)[found + _SIZE :])
    if not hmac.compare_digest(digest.digest(), content[found + len(_MARK) : found + _SIZE]):
        raise ChecksumError("its content does not match its checksum")
    return True


def seal_json(data: Mapping[str, Any]) -> str:
    """Return the text of a JSON file with its checksum as the last key."""
    return _json_text({**data, JSON_KEY: _json_digest(data)})


def check_json(data: Mapping[str, Any]) -> bool:
    """Return True if the checksum holds, False if the data have none; raise ``ChecksumError`` otherwise."""
    if JSON_KEY not in data:
        return False
    try:
        found = _json_digest({key: value for key, value in data.items() if key != JSON_KEY})
    except ValueError as error:  # NaN, which was never written
        raise ChecksumError(str(error)) from error
    if data[JSON_KEY] != found:
        raise ChecksumError("its content does not match its checksum")
    return True


def _json_digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json_text(data).encode()).hexdigest()


def _json_text(data: Mapping[str, Any]) -> str:
    # The order of the keys means something (the schedules are in the study file's): they are not sorted.
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _footer_start(content: bytes) -> int:
    length = int.from_bytes(content[-_END : -_END + 4], "little")
    return len(content) - _END - length
