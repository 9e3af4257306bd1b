"""Logs of steps, as Lightning's and W&B's loggers write them: several rows make an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from lrstudy.store.columns import ELAPSED, FRACTION, LOG_STEP, MOMENT, is_validation

Row = dict[str, Any]
Place = tuple[str, int | None]
Group = tuple[list[Place], list[Row]]

CLOCKS: Final = frozenset(("epoch", "step", "samples", "tokens", LOG_STEP, FRACTION, ELAPSED, MOMENT))


def with_epochs(places: Sequence[Place], rows: Sequence[Row]) -> tuple[list[Place], list[Row]]:
    """The rows, each with its epoch, and their places.

    Lightning logs a learning rate with its step alone, before that step's own row: it is of the next row's
    epoch. A last row in which nothing was measured is a test's if its step grows by one at most, and is
    left out.
    """
    kept: list[tuple[Place, Row]] = []
    following: Any = None
    for place, row in zip(reversed(places), reversed(rows), strict=True):
        measured = {name for name, value in row.items() if value is not None} - CLOCKS
        if row["epoch"] is None and row.get("step") is not None and measured == {"lr"}:
            row["epoch"] = following if kept else _last_epoch(rows)
        elif not measured and not kept and _is_test(row, rows):
            continue
        following = row["epoch"]
        kept.append((place, row))
    kept.reverse()
    return [place for place, _ in kept], [row for _, row in kept]


def _last_epoch(rows: Sequence[Row]) -> Any:
    return next((row["epoch"] for row in reversed(rows) if row["epoch"] is not None), None)


def _is_test(row: Row, rows: Sequence[Row]) -> bool:
    if row.get("step") is None:
        return row.get(LOG_STEP) is not None
    steps = [other["step"] for other in rows if other is not row and other["step"] is not None]
    return not steps or row["step"] <= steps[-1] + 1


def by_epoch(places: Sequence[Place], rows: Sequence[Row]) -> list[Group]:
    """Neighbouring rows of one epoch, with their places."""
    groups: list[Group] = []
    for place, row in zip(places, rows, strict=True):
        if not groups or groups[-1][1][0]["epoch"] != row["epoch"]:
            groups.append(([], []))
        groups[-1][0].append(place)
        groups[-1][1].append(row)
    return groups


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that gives an epoch a second value, the row before it, and its step where it has one."""

    place: Place
    before: Place
    step: float | None
    only_validation: bool


def conflict(places: Sequence[Place], rows: Sequence[Row]) -> Conflict | None:
    """The first row that gives a column another value without a later step, None where all fit together."""
    last: dict[str, int] = {}
    for at, row in enumerate(rows):
        for column, value in row.items():
            if value is None or column in CLOCKS or column.startswith("lr"):
                continue
            before = last.get(column)
            if before is not None and not _comes_later(row, rows[before], value, rows[before][column]):
                only = is_validation(column) and not _trains_twice(rows) and _order(row) is None
                return Conflict(places[at], places[before], _order(row), only)
            last[column] = at
    return None


def _comes_later(row: Row, before: Row, value: Any, earlier: Any) -> bool:
    now, then = _order(row), _order(before)
    if now is None or then is None:
        return False
    return bool(now > then or (now == then and value == earlier))


def _order(row: Row) -> float | None:
    order: float | None = row.get(LOG_STEP)
    return row.get("step") if order is None else order


def _trains_twice(rows: Sequence[Row]) -> bool:
    trained = [row for row in rows if any(is_training(row, column) for column in row)]
    return len(trained) != 1


def is_training(row: Row, column: str) -> bool:
    """Return True if a row has a training metric of that name."""
    return column in ("train_loss", "train_accuracy", "train_r2") and row[column] is not None


def null_unlogged(rows: Sequence[Row]) -> None:
    """Take NaN for "not logged" in rows that have a finite value of the other split: pandas writes it so."""
    for row in rows:
        metrics = [column for column in row if column.startswith("train_") or is_validation(column)]
        values = {column: row[column] for column in metrics if row[column] is not None}
        nan = {column for column, value in values.items() if math.isnan(value)}
        splits = {is_validation(column) for column in values.keys() - nan}
        for column in nan:
            if splits and is_validation(column) not in splits:
                row[column] = None


def validates(row: Row) -> bool:
    """Return True if a row has a validation metric."""
    return any(row[column] is not None for column in row if is_validation(column))


def by_validation(places: Sequence[Place], rows: Sequence[Row]) -> list[Group]:
    """Return the rows of an epoch in parts, each of which ends with a validation at a later time.

    Rows of the time of a validation, and all after the last one, are of the same part.
    """
    parts: list[Group] = [([], [])]
    ended: float | None = None
    last = max((at for at, row in enumerate(rows) if validates(row)), default=-1)
    for at, (place, row) in enumerate(zip(places, rows, strict=True)):
        now = _order(row)
        if ended is not None and now is not None and now > ended and at <= last:
            parts.append(([], []))
            ended = None
        parts[-1][0].append(place)
        parts[-1][1].append(row)
        if validates(row):
            ended = now
    return parts


def number_parts(rows: Sequence[Row], counts: Sequence[int]) -> bool:
    """Set the epochs done at each evaluation; return True if the steps at which epochs end told them.

    Without steps the evaluations of an epoch are taken as equally far apart. ``counts`` are their numbers.
    """
    has_steps = all(row.get("step") is not None for row in rows)
    begin, usual, at = 0, 0, 0
    for place, count in enumerate(counts):
        part = rows[at : at + count]
        at += count
        ends = [row["step"] for row in part] if has_steps else list(range(begin + 1, begin + count + 1))
        length = ends[-1] - begin
        if place == len(counts) - 1 and length < usual:
            length = usual  # the last epoch was cut short
        for row, end in zip(part, ends, strict=True):
            share = (end - begin) / length
            row["epoch"] += share - 1 if share < 1 else 0
        begin, usual = ends[-1], length
    return has_steps


def merged(rows: Sequence[Row]) -> Row:
    """One epoch from a log's rows: its last validation, the mean of rates and training metrics."""
    one: Row = {}
    for column in rows[0]:
        values = [row[column] for row in rows if row[column] is not None]
        logged_by_step = column == "lr" or column.startswith("train_")
        if not values:
            one[column] = None
        elif column in ("step", "tokens", ELAPSED):
            one[column] = max(values)
        elif logged_by_step:
            one[column] = math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values)
        else:
            one[column] = values[-1]
        if column == "lr" and values:
            one |= {"lr_min": min(values), "lr_max": max(values)}
    return one


def count_steps_from_one(rows: Sequence[Row], *, is_of_steps: bool, is_trainer: bool) -> bool:
    """Make each epoch's step the number of steps done; return True if they count over all epochs.

    Epochs of equal length tell the offset: they end at n, 2n, 3n or at n - 1, 2n - 1, 3n - 1. Otherwise
    logs of steps count from 0 if their epochs do, as in Lightning's, but those of the Trainer from 1.
    """
    steps = [row["step"] for row in rows if row.get("step") is not None]
    if not steps:
        return True
    if any(b <= a for a, b in pairwise(steps)):
        for row in rows:
            row["step"] = None
        return False
    offset = int(is_of_steps and not is_trainer and rows[0]["epoch"] == 0)
    lengths = {b - a for a, b in pairwise(steps)}
    if len(lengths) == 1 and len(steps) == len(rows):
        length = lengths.pop()
        offset = length - steps[0] if length - steps[0] in (0, 1) else offset
    for row in rows:
        if row.get("step") is not None:
            row["step"] += offset
    return True
