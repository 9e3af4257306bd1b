"""The result of an SQL query as a table that fits the terminal, as CSV, or as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from lrstudy.cli.terminal_table import names, numbers, table
from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.safe_text import safe_line

if TYPE_CHECKING:
    from rich.console import Console

FORMATS: Final = ("table", "csv", "json")
# A table is for reading; a million epochs are for a file.
_ROWS_SHOWN: Final = 40
_CELL: Final = 40
_GAP: Final = 2
_BATCH: Final = 4096


def check_format(file_format: str) -> None:
    """Raise ``InputError`` for a format that is not one of ``FORMATS``."""
    if file_format not in FORMATS:
        remedy = did_you_mean(file_format, FORMATS)
        raise InputError(Problem("command line", "--format", "is not a format", remedy, file_format))


def show_result(console: Console, result: Any, file_format: str) -> None:
    """Print a ``pyarrow.Table`` in one of ``FORMATS``: a table shows the first rows, the others show all."""
    if file_format == "table":
        _show_table(console, result)
    elif file_format == "csv":
        _write_csv(result)
    else:
        _write_json(result)


def _show_table(console: Console, result: Any) -> None:
    """Print the first rows and the columns that fit, from the left; then say what is left out."""
    shown = result.slice(0, _ROWS_SHOWN)
    columns = [[_shown(value) for value in column.to_pylist()] for column in shown.columns]
    headings = [safe_line(name) for name in result.column_names]
    widths = [max(map(len, [heading, *cells])) for heading, cells in zip(headings, columns, strict=True)]
    fitting = _fitting(widths, console.width)
    looks = (numbers if _is_number(kind) else names for kind in result.schema.types)
    heads = [look(heading) for look, heading in zip(looks, headings[:fitting], strict=False)]
    console.print(table(heads, zip(*columns[:fitting], strict=True)))
    rows = f"{result.num_rows:,} row{'' if result.num_rows == 1 else 's'}"
    if result.num_rows > len(shown):
        rows += f", the first {len(shown)} shown"
    if fitting < len(headings):
        rows += f"; columns that do not fit: {', '.join(headings[fitting:])}"
    if result.num_rows > len(shown) or fitting < len(headings):
        rows += " (--format csv has all)"
    console.print(Text(rows, style="dim"))


def _fitting(widths: Sequence[int], room: int) -> int:
    """Return how many columns fit side by side; at least one, which is cut if it is too wide."""
    used = 0
    for place, width in enumerate(widths):
        used += width + _GAP
        if used - _GAP > room:
            return max(place, 1)
    return len(widths)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    text = safe_line(_text(value))
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _text(value: Any) -> str:
    """Return a value as a CSV field: empty for null, JSON for nested values."""
    if value is None:
        return ""
    plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else str(plain)


def _plain(value: Any) -> Any:
    """Return a value as JSON data: NaN and the infinities are the texts that an export writes."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value)


def _write_csv(result: Any) -> None:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(result.column_names)
    for rows in _batches(result):
        writer.writerows([_csv_field(value) for value in row] for row in rows)
        sys.stdout.write(line.getvalue())
        line.seek(0)
        line.truncate()
    sys.stdout.write(line.getvalue())


def _csv_field(value: Any) -> Any:
    # The same as an export: repr keeps every digit of a float and writes NaN as nan.
    return repr(value) if isinstance(value, float) else _text(value)


def _write_json(result: Any) -> None:
    keys = _distinct(result.column_names)
    separator = "[\n"
    for rows in _batches(result):
        for row in rows:
            data = {key: _plain(value) for key, value in zip(keys, row, strict=True)}
            sys.stdout.write(separator + json.dumps(data, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _distinct(columns: Sequence[str]) -> list[str]:
    """Return the names of the columns, as different keys of an object: repeated names get a number."""
    keys: dict[str, None] = {}
    for name in columns:
        number, key = 1, name
        while key in keys:
            number += 1
            key = f"{name}_{number}"
        keys[key] = None
    return list(keys)


def _batches(result: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows in batches; they are read by column because two columns may have the same name."""
    for batch in result.to_batches(max_chunksize=_BATCH):
        yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
