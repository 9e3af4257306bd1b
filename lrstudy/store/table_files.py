"""The Parquet files of a table: their names, and their content checked and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from lrstudy.store import table_schema as schema
from lrstudy.store.checksums import is_sealed
from lrstudy.store.location import Location
from lrstudy.store.schema_version_1 import converted, is_version_1, source_columns
from lrstudy.store.verified import parquet_file, read_verified


def table_files(store: Location, table: str) -> tuple[str, ...]:
    """Return the Parquet files of a table by their places in the store, such as ``trials/00000.parquet``."""
    return tuple(
        f"{folder}/{name}"
        for folder in schema.FOLDERS[table]
        for name in (store / folder).names()
        if is_table_file(name)
    )


def is_table_file(name: str) -> bool:
    """Return True if a file of this name in a table's folder belongs to the table."""
    return name.endswith(".parquet") and name[0] not in "._"


def read_table_file(place: Location, table: str, wanted: Any) -> Any:
    """Return one Parquet file of a table, checked, as a ``pyarrow.Table`` of the wanted schema."""
    return read_verified(place, lambda content: decode(content, table, wanted))


def narrowed(wanted: Any, columns: Sequence[str]) -> Any:
    """Return the schema of these columns alone."""
    return pa.schema([wanted.field(column) for column in columns])


def is_old(content: bytes, table: str) -> bool:
    """Return True if a file's content is of an earlier schema version."""
    return is_version_1(table, parquet_file(content).schema_arrow, schema.SCHEMA_VERSION_KEY)


def decode(content: bytes, table: str, wanted: Any) -> Any:
    """Return a file's content as a table of this schema; ``ValueError`` or an Arrow error for damage."""
    file = parquet_file(content)
    if is_version_1(table, file.schema_arrow, schema.SCHEMA_VERSION_KEY):
        rows = converted(table, file.read(source_columns(table, wanted)), wanted)
    else:
        rows = _with_later(file.read(_present(file.schema_arrow, wanted)), wanted).cast(wanted)
    if not is_sealed(content):
        schema.check_values(rows)
    return rows


def _present(found: Any, wanted: Any) -> list[str]:
    """Return the columns to read: all that are wanted, less later ones that the file lacks."""
    return [name for name in wanted.names if name in found.names or name not in schema.LATER_COLUMNS]


def _with_later(rows: Any, wanted: Any) -> Any:
    """Return rows with null in the later columns that the file lacks."""
    if rows.column_names == wanted.names:
        return rows
    columns = [
        rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in wanted
    ]
    return pa.table(columns, names=wanted.names)
