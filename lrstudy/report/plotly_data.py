"""Figures as the plain data that the page's script draws, and their tables as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from lrstudy.report.figures.model import (
    Axis,
    Cell,
    Coordinates,
    Dots,
    Estimate,
    Figure,
    Line,
    Mark,
    Panel,
    Rule,
    Table,
    Values,
    Zone,
    time_title,
)
from lrstudy.report.style import Look

# Digits a drawn coordinate keeps: far below a pixel, and half the page's size.
_DRAWN_DIGITS = 5
# Rows of a table in the page; a longer one is thinned evenly and stands in full in the tables folder.
_MOST_ROWS = 2000
# Digits a table keeps. float64 has 15 to 17: what is cut is far below any interval.
_TABLE_DIGITS = 10


def payload(figures: Sequence[Figure], names: Sequence[str], looks: Sequence[Look]) -> dict[str, Any]:
    """Everything the page's script needs, as JSON data."""
    pool = _Pool()
    times = list(dict.fromkeys(time for figure in figures for time in figure.times))
    return {
        "schedules": [
            {"name": name, "light": look.light, "dark": look.dark, "dash": look.dash, "marker": look.marker}
            for name, look in zip(names, looks, strict=True)
        ],
        "times": {time: time_title(time) for time in times},
        "time": times[0] if times else "",
        "figures": [_figure(figure, pool) for figure in figures],
        "pool": pool.arrays,
    }


def plain_table(table: Table) -> Table:
    """The table as it is written everywhere: numbers at ten digits, NaN and infinities as words."""
    return Table(table.columns, tuple(tuple(_cell(value) for value in row) for row in table.rows))


def csv_text(table: Table) -> str:
    """A table as CSV (RFC 4180), the same text that the page's download gives."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    plain = plain_table(table)
    writer.writerow(map(_inert, plain.columns))
    for row in plain.rows:
        writer.writerow(["" if value is None else _written(_inert(value)) for value in row])
    return file.getvalue()


def _inert(cell: Cell) -> Cell:
    """Return a cell that a spreadsheet takes for text, even where a name begins like a formula."""
    begins = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if begins and cell != "-infinity" else cell


def rows_shown(table: Table) -> int:
    """Return the number of a table's rows in the page: all, or every second, third, … one."""
    return len(range(0, len(table.rows), _stride(table)))


def _stride(table: Table) -> int:
    return max(1, math.ceil(len(table.rows) / _MOST_ROWS))


class _Pool:
    """Pool of arrays, each kept once: curves counted in several units share all but their times."""

    def __init__(self) -> None:
        self.arrays: list[list[float | None]] = []
        self._places: dict[Values, int] = {}

    def place(self, values: Values) -> int:
        if values not in self._places:
            self._places[values] = len(self.arrays)
            self.arrays.append(_numbers(values))
        return self._places[values]


def _figure(figure: Figure, pool: _Pool) -> dict[str, Any]:
    stride = _stride(figure.table)
    table = plain_table(Table(figure.table.columns, figure.table.rows[::stride]))
    return {
        "key": figure.key,
        "times": figure.times,
        "panels": [
            _panel(panel, pool, stacked=figure.stacked, last=panel is figure.panels[-1])
            for panel in figure.panels
        ],
        "table": {"columns": table.columns, "rows": table.rows},
    }


def _panel(panel: Panel, pool: _Pool, *, stacked: bool, last: bool) -> dict[str, Any]:
    return {
        # Only the lowest of stacked panels names their common axis.
        "x": _axis(panel.x) | {"shared": stacked and not last},
        "y": _axis(panel.y),
        "marks": [_mark(mark, panel, pool) for mark in panel.marks],
        "height": 240 if stacked else None,
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "title": axis.title,
        "log": axis.log,
        "percent": axis.percent,
        "time": axis.time,
        "range": axis.range,
        "categories": axis.categories,
    }


def _mark(mark: Mark, panel: Panel, pool: _Pool) -> dict[str, Any]:
    match mark:
        case Line():
            own = {"kind": "line", "step": mark.step, "dim": mark.dim}
            return own | {
                "schedule": mark.schedule,
                "label": mark.label,
                "points": _points(mark.points, pool),
            }
        case Dots():
            own = {"kind": "dots", "labels": mark.labels, "crossed": mark.crossed}
            return own | {
                "schedule": mark.schedule,
                "label": mark.label,
                "points": _points(mark.points, pool),
            }
        case Estimate():
            return {
                "kind": "estimate",
                "schedule": mark.schedule,
                "row": mark.row,
                "place": panel.y.categories.index(mark.row),
                "value": drawn(mark.value),
                "low": drawn(mark.low),
                "high": drawn(mark.high),
                "wide": None if mark.wide is None else [drawn(end) for end in mark.wide],
                "text": mark.text,
            }
        case Rule():
            return {"kind": "rule", "axis": mark.axis, "value": mark.value, "label": mark.label}
        case Zone():
            return {
                "kind": "zone",
                "axis": mark.axis,
                "low": mark.low,
                "high": mark.high,
                "label": mark.label,
            }


def _points(coordinates: Coordinates, pool: _Pool) -> dict[str, list[int]]:
    """Return the places of x, y, low and high in the pool, by way to count time."""
    return {
        time: [pool.place(values) for values in (points.x, points.y, points.low, points.high)]
        for time, points in coordinates.items()
    }


def _numbers(values: Values) -> list[float | None]:
    return [drawn(value) for value in values]


def drawn(value: float | None) -> float | None:
    """Return a coordinate at its drawn digits; None for what is not finite, which is not drawn."""
    if value is None or not math.isfinite(value):
        return None
    return _rounded(value, _DRAWN_DIGITS)


def _rounded(value: float, digits: int) -> float:
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def _cell(value: Cell) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return _rounded(value, _TABLE_DIGITS)


def _written(value: Cell) -> str:
    """A cell as JavaScript writes it, so that the page's download and the file agree to the byte.

    >>> _written(1e-07), _written(1.5e-05), _written(3), _written("a")
    ('1e-7', '0.000015', '3', 'a')
    """
    if not isinstance(value, float):
        return str(value)
    text = repr(value)
    if "e" not in text:
        return text
    exponent = int(text.partition("e")[2])
    if -7 < exponent < 21:
        plain = f"{value:.{max(_TABLE_DIGITS - exponent, 0)}f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa = text.partition("e")[0].removesuffix(".0")
    return f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
