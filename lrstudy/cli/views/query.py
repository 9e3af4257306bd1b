"""A query's result as text: a table that fits the terminal, CSV, or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.safe_text import safe_line

if TYPE_CHECKING:
    from rich.console import Console

FORMATS: Final = ("table", "csv", "json")
# A table is for looking at: a million epochs belong into a file.
_ROWS_SHOWN: Final = 40
_CELL: Final = 40
_GAP: Final = 2
_BATCH: Final = 4096


def check_format(file_format: str) -> None:
    """Raise ``InputError`` for a format that is not one of ``FORMATS``."""
    if file_format not in FORMATS:
        remedy = did_you_mean(file_format, FORMATS)
        raise InputError(Problem("command line", "--format", "is not a format", remedy, file_format))


def show_answer(console: Console, answer: Any, file_format: str) -> None:
    """Print a ``pyarrow.Table`` in one of ``FORMATS``; a table shows its beginning, the others are whole."""
    if file_format == "table":
        _show_table(console, answer)
    elif file_format == "csv":
        _write_csv(answer)
    else:
        _write_json(answer)


def _show_table(console: Console, answer: Any) -> None:
    """As many columns as the terminal holds, from the left, and the first rows; then what is left out."""
    shown = answer.slice(0, _ROWS_SHOWN)
    columns = [[_shown(value) for value in column.to_pylist()] for column in shown.columns]
    headings = [safe_line(name) for name in answer.column_names]
    widths = [max(map(len, [heading, *cells])) for heading, cells in zip(headings, columns, strict=True)]
    fitting = _fitting(widths, console.width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False)
    for heading, kind in zip(headings[:fitting], answer.schema.types, strict=False):
        table.add_column(
            Text(heading),
            justify="right" if _is_number(kind) else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in zip(*columns[:fitting], strict=True):
        table.add_row(*map(Text, row))
    console.print(table)
    rows = f"{answer.num_rows:,} row{'' if answer.num_rows == 1 else 's'}"
    if answer.num_rows > len(shown):
        rows += f", the first {len(shown)} shown"
    if fitting < len(headings):
        rows += f"; columns that do not fit: {', '.join(headings[fitting:])}"
    if answer.num_rows > len(shown) or fitting < len(headings):
        rows += " (--format csv has all)"
    console.print(Text(rows, style="dim"))


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many columns stand side by side; at least one, which is cut if it must be."""
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
    """A value as CSV has it: an empty field for null, nested values as JSON."""
    if value is None:
        return ""
    plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else str(plain)


def _plain(value: Any) -> Any:
    """A value as plain JSON data: NaN and the infinities as the texts that an export has."""
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


def _write_csv(answer: Any) -> None:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(answer.column_names)
    for rows in _batches(answer):
        writer.writerows([_csv_field(value) for value in row] for row in rows)
        sys.stdout.write(line.getvalue())
        line.seek(0)
        line.truncate()
    sys.stdout.write(line.getvalue())


def _csv_field(value: Any) -> Any:
    # As an export writes it: repr keeps every digit of a float, and NaN is nan.
    return repr(value) if isinstance(value, float) else _text(value)


def _write_json(answer: Any) -> None:
    names = _distinct(answer.column_names)
    separator = "[\n"
    for rows in _batches(answer):
        for row in rows:
            data = {name: _plain(value) for name, value in zip(names, row, strict=True)}
            sys.stdout.write(separator + json.dumps(data, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _distinct(names: Sequence[str]) -> list[str]:
    """The columns' names; one that comes again gets a number, for an object's keys must differ."""
    found: dict[str, None] = {}
    for name in names:
        number, key = 1, name
        while key in found:
            number += 1
            key = f"{name}_{number}"
        found[key] = None
    return list(found)


def _batches(answer: Any) -> Any:
    """The rows, some thousand at a time; column by column, for two columns may have one name."""
    for batch in answer.to_batches(max_chunksize=_BATCH):
        yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
