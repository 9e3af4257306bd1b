"""Logs that are counted by steps, tokens or time: their rows as arrays, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import InputError, Problem
from lrstudy.store.cells import Cells, Index, cells_of, joined, none_of
from lrstudy.store.columns import ELAPSED, LOG_STEP, MOMENT, is_validation
from lrstudy.store.log_formats import LogTable
from lrstudy.store.log_run import APART, LARGEST

# What orders the rows of a log: the first of these that each measurement has.
ORDERS: Final = ("step", LOG_STEP, "tokens", "samples", "epoch", ELAPSED, MOMENT)
_COUNTS: Final = ("step", "samples", "tokens", LOG_STEP)
_CLOCKS: Final = frozenset((*ORDERS, "train_seconds", "estimate_seconds", "eval_seconds"))
_CORRECT: Final = "Correct the column"
_LONGEST: Final = 1e11  # seconds: 3,000 years
_LAST_MOMENT: Final = 1e15  # milliseconds: more are no moment that a log has


@dataclass(slots=True)
class Series:
    """The rows of one run: parts of tables, each with the rows that are the run's (None for all)."""

    where: str
    task: tuple[str, ...]
    schedule: tuple[str, ...]
    seed: int
    parts: list[tuple[LogTable, Mapping[str, str], Index | None]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        names = [value for value in (*self.task, *self.schedule) if value]
        return " ".join([*names, f"seed {self.seed}"])

    def place(self, row: int) -> tuple[str, int | None]:
        """Return the file and the line of a row of all parts."""
        for table, _, index in self.parts:
            length = len(table) if index is None else len(index)
            if row < length:
                line = table.lines[row if index is None else int(index[row])]
                return table.where, line
            row -= length
        return self.where, None

    def note(self, message: str, row: int) -> None:
        """Keep a note for the user, with the place of a row."""
        where, line = self.place(row)
        self.notes.append((message, where if line is None else f"{where}:{line}"))

    def problem(self, row: int, column: str, message: str, remedy: str, *value: Any) -> Problem:
        """Return the problem of a row."""
        where, line = self.place(row)
        if value:
            return Problem(where, column, message, remedy, value[0], line)
        return Problem(where, column, message, remedy, line=line)


@dataclass(slots=True)
class Ordered:
    """A run's measured rows in the order of ``clock``, whose values are ``time``; equal ones are one moment.

    ``group`` is the number of each row's moment; ``source`` the row's place in the run's parts.
    """

    columns: dict[str, Cells]
    clock: str
    time: NDArray[Any]
    group: Index
    source: Index

    @property
    def moments(self) -> NDArray[Any]:
        """The time of each moment."""
        starts = np.flatnonzero(np.diff(self.group, prepend=-1))
        times: NDArray[Any] = self.time[starts]
        return times

    def metrics(self) -> Iterator[str]:
        """Yield the columns of metrics."""
        return (name for name in self.columns if is_metric(name))

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Leave out the other rows."""
        self.columns = {name: cells.take(mask) for name, cells in self.columns.items()}
        self.time, self.source = self.time[mask], self.source[mask]
        self.group = np.cumsum(np.diff(self.group[mask], prepend=-1) > 0) - 1


def is_metric(column: str) -> bool:
    """Return True if a column is a metric of a split, or one that the study declares."""
    return (column.startswith("train_") and column not in _CLOCKS) or is_validation(column)


def ordered(series: Series, has_seeds: bool) -> Ordered:
    """Return a run's measured rows in order; raises ``InputError`` for rows that no clock orders."""
    columns, problems = _columns(series)
    problems += [*_count_problems(series, columns), *_range_problems(series, columns)]
    if problems:
        raise InputError(problems)
    measured = np.zeros(len(next(iter(columns.values()))), bool)
    for name, cells in columns.items():
        if is_metric(name) or name == "lr":
            measured |= cells.known
    if not any(columns[name].known.any() for name in columns if is_metric(name)):
        message = f"{series} has no measurement"
        raise InputError(Problem(series.where, "", message, "Give a row per step or evaluation"))
    clock = next((c for c in ORDERS if c in columns and bool(columns[c].known[measured].all())), None)
    if clock is None:
        raise InputError(_unordered(series, columns, measured))
    kept = columns[clock].known
    source = np.flatnonzero(kept)
    columns = {name: cells.take(kept) for name, cells in columns.items()}
    time = columns[clock].values
    if bool((np.diff(time) < 0).any()):
        _refuse_restart(series, columns, time, source, has_seeds)
        order = np.argsort(time, kind="stable")
        columns = {name: cells.take(order) for name, cells in columns.items()}
        time, source = time[order], source[order]
    group = np.cumsum(np.diff(time, prepend=time[0]) > 0).astype(np.int64)
    return Ordered(columns, clock, time, group, source)


def _columns(series: Series) -> tuple[dict[str, Cells], list[Problem]]:
    """The columns of all parts, one below the other."""
    names = dict.fromkeys(name for _, found, _ in series.parts for name in found)
    columns: dict[str, list[Cells]] = {name: [] for name in names}
    problems: list[Problem] = []
    for table, found, index in series.parts:
        for name in names:
            try:
                cells = cells_of(table.columns[found[name]]) if name in found else none_of(len(table))
            except OverflowError:
                problems.append(_beyond_64_bits(table, found[name]))
                cells = none_of(len(table))
            columns[name].append(cells if index is None else cells.take(index))
    return {name: joined(parts) for name, parts in columns.items()}, problems


def _beyond_64_bits(table: LogTable, name: str) -> Problem:
    column = table.columns[name]
    row = next(at for at, cell in enumerate(column) if isinstance(cell, int) and abs(cell) >= 1 << 63)
    message = "is not a whole number from 0, below 2^63"
    return Problem(table.where, name, message, _CORRECT, column[row], table.lines[row])


def _count_problems(series: Series, columns: dict[str, Cells]) -> Iterator[Problem]:
    for name in ORDERS:
        if name not in columns:
            continue
        cells = columns[name]
        known = cells.known & ~np.isnan(cells.values)  # pandas and numpy write "no value" as NaN
        values = np.where(known, cells.values, 0)
        with np.errstate(invalid="ignore"):
            bad = ~np.isfinite(values) | (values < 0)
            if name in _COUNTS:
                bad |= (values != np.floor(values)) | (values >= float(1 << 63))
            elif name == "epoch":
                bad |= values > LARGEST
            elif name == ELAPSED:
                bad |= values > _LONGEST
            else:
                known, bad = known & ~bad & (values < _LAST_MOMENT), np.zeros(len(values), bool)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            what = {"epoch": "is not an epoch's number", ELAPSED: "is no time", MOMENT: "is no time"}
            message = what.get(name, "is not a whole number from 0, below 2^63")
            yield series.problem(row, _shown(series, name), message, _CORRECT, cells.values[row].item())
            continue
        kind = np.int64 if name in _COUNTS else values.dtype
        columns[name] = Cells(values.astype(kind), known)


def _shown(series: Series, column: str) -> str:
    """Return the log's own name of a column."""
    return next((found[column] for _, found, _ in series.parts if column in found), column)


def _range_problems(series: Series, columns: Mapping[str, Cells]) -> Iterator[Problem]:
    for name in ("train_accuracy", "val_accuracy"):
        if name in columns:
            cells = columns[name]
            bad = np.flatnonzero(cells.known & ((cells.values < 0) | (cells.values > 1)))
            for row in bad:
                remedy = "Give accuracies as fractions: divide percentages by 100"
                yield series.problem(int(row), name, "is outside 0 to 1", remedy, cells.values[row].item())


def _unordered(series: Series, columns: Mapping[str, Cells], measured: NDArray[np.bool_]) -> Problem:
    clock = next((name for name in ORDERS if name in columns), "step")
    missing = measured & ~columns[clock].known if clock in columns else measured
    row = int(np.flatnonzero(missing)[0])
    message = f"a measurement has no {_shown(series, clock)}, and no other column orders the rows"
    return series.problem(row, _shown(series, clock), message, "Give each row its step, epoch or time")


def _refuse_restart(
    series: Series, columns: Mapping[str, Cells], time: NDArray[Any], source: Index, has_seeds: bool
) -> None:
    """Raise ``InputError`` if a metric was measured again at an earlier time.

    The rows of one metric may come after those of another.
    """
    for name, cells in columns.items():
        if not is_metric(name):
            continue
        rows = np.flatnonzero(cells.known)
        back = np.flatnonzero(np.diff(time[rows]) < 0)
        if back.size and len(series.parts) == 1:
            row = int(source[rows[back[0] + 1]])
            message = f"the log of {series} starts again here: {_at(time[rows[back[0]]])} comes before"
            raise InputError(series.problem(row, _shown(series, name), message, repeat_remedy(has_seeds)))


def repeat_remedy(has_seeds: bool) -> str:
    """Return the remedies for a log that holds a step twice."""
    apart = "name another column that tells runs apart" if has_seeds else APART
    return f"If the run was resumed, keep the later row of each step; if these are several runs, {apart}"


def _at(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def parts_of(rows: Sequence[Any]) -> dict[Any, Index]:
    """Return the places of each value among rows, in order of appearance."""
    places: dict[Any, list[int]] = {}
    for at, value in enumerate(rows):
        places.setdefault(value, []).append(at)
    return {value: np.array(found, np.int64) for value, found in places.items()}
