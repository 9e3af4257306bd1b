"""The files that a killed writer leaves in a folder, not moved to their place."""

from __future__ import annotations

from typing import Final

from lrstudy.store.checksums import ChecksumError, check_parquet
from lrstudy.store.location import TEMPORARY, Location

_PARQUET: Final = ".parquet"


def clear_leftovers(folder: Location) -> None:
    """Remove the temporary files in this folder; a whole one whose place is empty is put there.

    Arrow's HDFS replaces a file in two steps, a deletion and a renaming: a kill in between leaves the rows in
    the temporary file alone.
    """
    names = folder.names()
    for name in names:
        if not (name.startswith(".") and name.endswith(TEMPORARY)):
            continue
        target = name[1 : -len(TEMPORARY)]
        if folder.local is None and target not in names and target.endswith(_PARQUET):
            content = (folder / name).read()
            if _is_whole(content):
                (folder / target).write(content)  # under the same temporary name, so it is gone after that
                continue
        (folder / name).delete()


def _is_whole(content: bytes) -> bool:
    try:
        return check_parquet(content)
    except ChecksumError:
        return False
