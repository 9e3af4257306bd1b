"""The Parquet files of a table: their names, and their content checked and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from lrstudy.store import table_schema as schema
from lrstudy.store.checksums import is_sealed
from lrstudy.store.location import Location
from lrstudy.store.verified import parquet_file, read_verified


def table_files(folder: Location) -> tuple[str, ...]:
    """Return the names of the Parquet files in a table's folder."""
    return tuple(name for name in folder.names() if name.endswith(".parquet") and name[0] not in "._")


def read_table_file(place: Location, table: str, columns: Sequence[str] | None = None) -> Any:
    """Return one Parquet file of a table, checked, as a ``pyarrow.Table``."""
    return read_verified(place, lambda content: decode(content, table, columns))


def decode(content: bytes, table: str, columns: Sequence[str] | None = None) -> Any:
    """Return a file's content as a ``pyarrow.Table``; raises ``ValueError`` or an Arrow error for damage."""
    wanted = schema.SCHEMAS[table]
    if columns is not None:
        wanted = pa.schema([wanted.field(column) for column in columns])
    rows = parquet_file(content).read(wanted.names).cast(wanted)
    if not is_sealed(content):
        schema.check_values(rows)
    return rows
