"""Parquet files as logs: columns of plain types; nested ones and times are named, not read."""

from __future__ import annotations

import io
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from lrstudy.store.log_formats.table import LogTable, column_names, printable, refusal

MAGIC: Final = b"PAR1"


def read_parquet(where: str, content: bytes) -> LogTable:
    """A table of typed values; the first row counts as line 2, as below a header."""
    try:
        table = pq.read_table(io.BytesIO(content))
        names = column_names(where, table.column_names)
        foreign: dict[str, str] = {}
        columns = {name: _values(name, table.column(at), foreign) for at, name in enumerate(names)}
    except (OSError, pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        message = f"cannot be read ({printable(reason)})"
        raise refusal(
            where, message, "Give a CSV or Parquet file with one row per epoch or evaluation"
        ) from error
    if table.num_rows == 0:
        raise refusal(where, "has no rows", "Give a file with one row per epoch or evaluation")
    return LogTable(where, columns, list(range(2, table.num_rows + 2)), foreign=foreign)


def _values(name: str, column: Any, foreign: dict[str, str]) -> list[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_temporal(kind):
        foreign[name] = str(kind)
        column = column.cast(pa.string())
    elif pa.types.is_nested(kind) or not _is_plain(kind):
        foreign[name] = str(kind)
        return [None] * len(column)
    elif pa.types.is_float16(kind):
        column = column.cast(pa.float64())
    values: list[Any] = column.to_pylist()
    return values


def _is_plain(kind: Any) -> bool:
    tests = ("boolean", "integer", "floating", "decimal", "string", "large_string", "null")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests) or str(kind) == "string_view"
