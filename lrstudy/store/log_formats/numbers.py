"""Numbers as logs write them: decimal commas, percent signs, thousands separators, every spelling of NaN."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from lrstudy.errors import Problem
from lrstudy.store.cells import as_numbers, is_array
from lrstudy.store.log_formats.table import LogTable

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
# "0,35" and "1.234,5" can only be decimal commas, "1,234.5" and "1,234,567" only groups of thousands.
_DECIMAL_COMMA: Final = re.compile(
    r"[+-]?(\d*|[1-9]\d{0,2}(\.\d{3})+),\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE
)
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", re.ASCII)
_SPECIAL: Final = re.compile(
    r"([+-]?)(?:(nan|1\.#(?:qnan|snan|ind))(?:\(\w*\))?|(inf|infinity|1\.#inf))", re.IGNORECASE
)
# Columns whose whole numbers stay exact beside fractions.
COUNTS: Final = frozenset(("epoch", "step", "samples", "tokens", "seed"))
_LONGEST: Final = 400  # characters of a number; int() and float() need not look at more
_CORRECT: Final = "Correct the column"
_TOO_LARGE: Final = "is beyond the largest number of 64 bits"
_KINDS: Final = (
    (bool, "bool"),
    (str, "string"),
    (bytes, "binary"),
    (date, "date"),
    (list, "list"),
    (dict, "struct"),
)


def is_number(text: str) -> bool:
    """Return True if a text is a number in any spelling."""
    text = text.strip().removesuffix("%").strip()
    return len(text) <= _LONGEST and any(
        pattern.fullmatch(text) for pattern in (_NUMBER, _SPECIAL, _DECIMAL_COMMA, _THOUSANDS)
    )


def read_numbers(table: LogTable, columns: Mapping[str, str]) -> list[Problem]:
    """Turn the named columns' cells into numbers, in place; return the problems of the others.

    ``columns`` gives the table's name for each of the store's columns. A percent sign is understood in an
    accuracy. Whether a comma is a decimal one is settled once for the whole file.
    """
    problems = [
        Problem(table.where, name, f"must hold numbers, not {table.foreign[name]}", _CORRECT)
        for name in columns.values()
        if name in table.foreign
    ]
    if table.is_text:
        cells = [table.columns[name] for name in columns.values()]
        comma = _decimal_mark(table, cells)
        if isinstance(comma, Problem):
            return [*problems, comma]
        for column, name in columns.items():
            problems += _read_text(table, column, name, comma)
    else:
        for column, name in columns.items():
            if is_array(table.columns[name]):
                table.columns[name] = as_numbers(table.columns[name])
            if name not in table.foreign and not is_array(table.columns[name]):
                problems += _check_values(table, column, name)
    return problems


def _decimal_mark(table: LogTable, columns: Sequence[Sequence[str | None]]) -> bool | Problem:
    """Return True if the file's numbers have decimal commas, or the problem of telling so."""
    first: dict[str, tuple[str, int | None]] = {}
    if not any(cell is not None and "," in cell for cells in columns for cell in cells):
        return False
    for cells in columns:
        for line, cell in zip(table.lines, cells, strict=True):
            if cell is not None and len(cell) <= _LONGEST and ("," in cell or "." in cell):
                first.setdefault(_mark(cell.strip().removesuffix("%").strip()), (cell, line))
    if "comma" in first and "point" in first:
        (comma, line), (point, other) = first["comma"], first["point"]
        message = f"is a decimal comma, but {point!r} on line {other} has a decimal point"
        return Problem(table.where, "", message, "Write all numbers alike", comma, line)
    if "either" in first and not first.keys() & {"comma", "point"}:
        cell, line = first["either"]
        message = "has a decimal comma, or one between thousands: the file does not tell"
        return Problem(table.where, "", message, "Write it without a comma", cell, line)
    return "comma" in first


def _mark(text: str) -> str:
    if "," not in text:
        return "point" if _NUMBER.fullmatch(text) else "none"
    thousands, decimal = _THOUSANDS.fullmatch(text), _DECIMAL_COMMA.fullmatch(text)
    if thousands and decimal:
        return "either"
    return "comma" if decimal else "point" if thousands else "none"


def _read_text(table: LogTable, column: str, name: str, comma: bool) -> Iterator[Problem]:
    cells: list[str | None] = table.columns[name]
    percent = [cell is not None and cell.rstrip().endswith("%") for cell in cells]
    values: list[Any] = []
    for line, cell, is_percent in zip(table.lines, cells, percent, strict=True):
        text = (cell or "").strip()
        if is_percent and column.endswith("accuracy"):
            text = text.removesuffix("%").strip()
        try:
            value = parse(text, comma) if cell is not None and text else None
        except ValueError as error:
            yield Problem(table.where, name, str(error), _CORRECT, cell, line)
            value = None
        values.append(value / 100 if is_percent and value is not None else value)
    if any(percent) and not all(each or cell is None for each, cell in zip(percent, cells, strict=True)):
        at = next(at for at, each in enumerate(percent) if not each and cells[at] is not None)
        message = "has no percent sign, others of the column have"
        yield Problem(table.where, name, message, "Write all alike", cells[at], table.lines[at])
    if any(percent):
        table.percent_signs.add(name)
    table.columns[name] = values if _are_whole(values) or column in COUNTS else list(map(_float, values))


def _are_whole(values: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, int) and abs(value) < 1 << 63) for value in values)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def parse(text: str, comma: bool = False) -> int | float:
    """The number that a text is; raises ``ValueError`` for another text and beyond a float64.

    >>> parse("12"), parse("1e-3"), parse("0,5", comma=True), parse("1,234.5"), parse("-inf")
    (12, 0.001, 0.5, 1234.5, -inf)
    """
    if special := _SPECIAL.fullmatch(text):
        return math.nan if special[2] else math.copysign(math.inf, -1 if special[1] == "-" else 1)
    if len(text) <= _LONGEST and "," in text:
        if comma and _DECIMAL_COMMA.fullmatch(text):
            text = text.replace(".", "").replace(",", ".")
        elif not comma and _THOUSANDS.fullmatch(text):
            text = text.replace(",", "")
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        kind = "bool" if text.lower() in ("true", "false") else "string"
        raise ValueError(f"must hold numbers, not {kind}")
    value = float(text)
    if math.isinf(value):
        raise ValueError(_TOO_LARGE)
    return int(text) if _WHOLE.fullmatch(text) else value


def _check_values(table: LogTable, column: str, name: str) -> Iterator[Problem]:
    """Numbers of a file whose cells have types; decimals become floats."""
    values = table.columns[name]
    for at, value in enumerate(values):
        if value is None or isinstance(value, float):
            continue
        if isinstance(value, Decimal):
            values[at] = float(value)
        elif isinstance(value, bool) or not isinstance(value, int):
            kind = next((word for each, word in _KINDS if isinstance(value, each)), type(value).__name__)
            yield Problem(
                table.where, name, f"must hold numbers, not {kind}", _CORRECT, value, table.lines[at]
            )
        elif column not in COUNTS and abs(value) >= 1 << 63:
            try:
                values[at] = float(value)
            except OverflowError:
                yield Problem(table.where, name, _TOO_LARGE, _CORRECT, value, table.lines[at])
