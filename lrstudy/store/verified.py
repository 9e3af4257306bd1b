"""Reads a store's file whole and checked, also while the writer replaces it.

Where a file system replaces objects (S3), a reader that asks for the size first and the bytes after may get a
part of the newer one. The checksum finds that out; a file that reads the same twice is damaged indeed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lrstudy.errors import Problem, StoreError
from lrstudy.store.checksums import check_parquet
from lrstudy.store.location import Location

DAMAGED_REMEDY: Final = "Restore the file from a copy, or run the study again in another folder"
_ATTEMPTS: Final = 12
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 1.0

_T = TypeVar("_T")


def read_verified(place: Location, use: Callable[[bytes], _T]) -> _T:
    """Return what ``use`` makes of a file's content.

    Where ``use`` raises (``ChecksumError``, another ``ValueError``, an Arrow error, ``OSError``), the file is
    read again until it is whole or reads the same twice. Raises ``StoreError``: the file is damaged, is
    replaced too often to be read, or cannot be read at all.
    """
    before: bytes | str | None = None
    for attempt in range(_ATTEMPTS):
        try:
            content = place.read()
            return use(content)
        except StoreError as error:
            seen: bytes | str = str(error)
            if seen == before:
                raise
        except (ValueError, OverflowError, pa.ArrowException, OSError) as error:
            seen = content
            if seen == before:
                raise StoreError(_damage(place, error)) from error
        before = seen
        pause(attempt)
    raise being_written(place)


def _damage(place: Location, error: BaseException) -> Problem:
    """The problem of a file that is not what was written."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    run = str(place).rpartition("/")[0].rpartition("/")[0]
    restore = "Restore the file from a copy, or set it aside and run its trials again"
    remedy = f"{restore}: lrstudy doctor {run} --repair"
    return Problem(str(place), "", f"is damaged ({text})", remedy)


def being_written(place: Location) -> StoreError:
    """The error of a reader that never saw the same twice."""
    message = f"is being written and changed {_ATTEMPTS} times while it was read; it is not damaged"
    return StoreError(Problem(str(place), "", message, "Run the command again in a moment"))


def pause(attempt: int) -> None:
    """Wait for a writer, longer with every attempt."""
    time.sleep(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt))


def read_until_stable(place: Location, read: Callable[[], _T]) -> _T:
    """Return what ``read`` returns once it succeeds; raise its error if it fails alike twice in a row."""
    before = ""
    for attempt in range(_ATTEMPTS):
        try:
            return read()
        except StoreError as error:
            if str(error) == before:
                raise
            before = str(error)
        pause(attempt)
    raise being_written(place)


def parquet_file(content: bytes, **options: Any) -> Any:
    """Open a Parquet file's content; raises ``ChecksumError`` where it is not what was written."""
    check_parquet(content)
    return pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, **options)
