"""One table for each run of a tracker: columns of numbers, filled where a step has a value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import InputError
from lrstudy.safe_text import safe_line
from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_formats.table import column_names, refusal

# A cell takes nine bytes; no machine that trains has a table of more beside its runs.
MOST_CELLS: Final = 200_000_000
_SHOWN: Final = 12
_DEEPEST: Final = 20
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def make_table(
    where: str, columns: Mapping[str, Any], constants: Mapping[str, Any], notes: Sequence[str] = ()
) -> LogTable:
    """Return a run's table.

    A column is a list, or a numpy array of numbers that is masked where a row has no value: its ``tolist()``
    gives None for these.
    """
    names = column_names(where, columns)
    rows = len(next(iter(columns.values()))) if columns else 0
    named: dict[str, Any] = dict(zip(names, columns.values(), strict=True))
    kept = {printable(name): value for name, value in constants.items()}
    return LogTable(where, named, [None] * rows, notes=list(notes), constants=kept)


def filled(rows: int, at: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a column with ``values`` in the rows ``at``; the others are masked, which is not NaN."""
    if len(at) == rows:
        column: NDArray[np.float64] = np.empty(rows)
        column[at] = values
        return column
    data, mask = np.zeros(rows), np.ones(rows, bool)
    data[at], mask[at] = values, False
    masked: NDArray[np.float64] = np.ma.MaskedArray(data, mask)
    return masked


def check_cells(where: str, rows: int, columns: int) -> None:
    """Raise ``InputError`` where a run's table would not fit into memory."""
    if rows * columns > MOST_CELLS:
        message = f"has {rows} steps and {columns} metrics: too many to hold as one table"
        raise refusal(where, message, "Choose what you compare: --tag 'val*'")


def columns_of(where: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the columns of rows whose values may be numbers or texts; lists and media are left out."""
    flat_rows = [dict(flat(row)) for row in rows]
    names = list(dict.fromkeys(name for row in flat_rows for name in row))
    check_cells(where, len(rows), len(names))
    columns: dict[str, Any] = {}
    for name in names:
        cells = [row.get(name) for row in flat_rows]
        if any(cell is not None for cell in cells):
            columns[name] = _as_numbers(cells)
    return columns


def _as_numbers(cells: list[Any]) -> Any:
    """Return an array of numbers with fractions, else the cells: whole numbers stay exact."""
    cells = [_SPECIAL.get(cell, cell) if isinstance(cell, str) else cell for cell in cells]
    at = [number for number, cell in enumerate(cells) if cell is not None]
    kinds = {type(cells[number]) for number in at}
    if float not in kinds or not kinds <= {float, int}:
        return cells
    try:
        return filled(len(cells), np.array(at, np.int64), np.array([float(cells[number]) for number in at]))
    except OverflowError:
        return cells


def flat(values: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield plain values by flat names with dots; lists and what a tracker stores as a medium are left out.

    >>> dict(flat({"lr": 0.1, "optimizer": {"name": "adamw"}, "image": {"_type": "image-file"}}))
    {'lr': 0.1, 'optimizer.name': 'adamw'}
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            if "_type" not in value and depth < _DEEPEST:
                yield from flat(value, f"{before}{name}.", depth + 1)
        elif value is None or isinstance(value, bool | int | float | str):
            yield f"{before}{name}", value


def chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that fit any of the patterns with ``*`` and ``?``; all without a pattern.

    >>> chosen(["val/loss", "train/loss"], ["val/*"])
    ['val/loss']
    """
    return [name for name in names if not patterns or any(fnmatchcase(name, glob) for glob in patterns)]


def no_such_tag(where: str, names: Sequence[str], patterns: Sequence[str]) -> InputError:
    """Return the error of patterns that fit none of the names."""
    shown = ", ".join(map(safe_line, names[:_SHOWN]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    wanted = " ".join(f"--tag {safe_line(pattern)!r}" for pattern in patterns)
    return refusal(where, f"none of its metrics fits {wanted}", f"It has {shown}{more}")
