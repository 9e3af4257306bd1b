"""One run of a log: its rows held against what a training can have recorded, an epoch made of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from lrstudy.errors import InputError, Problem
from lrstudy.store.cells import Cells
from lrstudy.store.columns import ELAPSED, FRACTION, LOG_STEP, MOMENT
from lrstudy.store.log_evaluations import drop_outside_training, null_unvalidated
from lrstudy.store.recorded_run import RecordedRun, diverged_evaluation, drop_false_clocks, from_rows
from lrstudy.store.step_logs import (
    Conflict,
    Group,
    Place,
    Row,
    by_epoch,
    by_validation,
    conflict,
    count_steps_from_one,
    merged,
    null_unlogged,
    number_parts,
    validates,
    with_epochs,
)

# More epochs than anybody trains: a larger number is a time, or a step.
LARGEST: Final = 1_000_000
_SHOWN: Final = 5
APART: Final = "name the column that tells the runs apart (--seed-from, --schedule-from, --task-from)"


@dataclass(slots=True)
class Run:
    """One training: what names its task, schedule and seed, and its epochs in the store's columns.

    ``places`` are the file and line of each row. ``headers`` are the lines of repeated headers.
    ``is_trainer`` marks a log of the Trainer, whose steps count from 1.
    """

    where: str
    task: tuple[str, ...]
    schedule: tuple[str, ...]
    seed: int
    epochs: list[Row] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    headers: set[Place] = field(default_factory=set)
    is_trainer: bool = False
    notes: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        names = [value for value in (*self.task, *self.schedule) if value]
        return " ".join([*names, f"seed {self.seed}"])

    def note(self, message: str, place: Place) -> None:
        """Keep a note for the user, with the place that it is about."""
        where, line = place
        self.notes.append((message, where if line is None else f"{where}:{line}"))


def is_count(value: Any) -> bool:
    """Return True if a value is a whole number from 0 that fits into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return value == int(value) and 0 <= value < 1 << 63


def settle(run: Run, *, has_seeds: bool) -> RecordedRun:
    """Return a run's evaluations; raises ``InputError`` for rows that no training can have written."""
    run.places, run.epochs = with_epochs(run.places, _alike(run.epochs))
    if problems := list(_number_problems(run)):
        raise InputError(problems)
    if not run.epochs:
        message = f"{run} has no measurement"
        raise InputError(Problem(run.where, "", message, "Give a row per epoch or evaluation"))
    groups = by_epoch(run.places, run.epochs)
    for _, rows in groups:
        if len(rows) > 1:
            null_unlogged(rows)
    restart = _restart(run, groups, has_seeds)
    if restart is not None:
        raise InputError(restart)
    training, notes = drop_outside_training(groups, is_trainer=run.is_trainer)
    problem = _conflict(training, run, has_seeds, offset=groups[0][1][0]["epoch"] == 0)
    if problem is not None:
        raise InputError(problem)
    for message, place in notes:
        run.note(message, place)
    _merge(run, training)
    if problems := [*_missing(run), *_range_problems(run)]:
        raise InputError(problems)
    return _recorded(run)


def _recorded(run: Run) -> RecordedRun:
    """Return the run in columns; a log with one evaluation in each epoch keeps its rows too."""
    by_epoch = all(row["epoch"] == number for number, row in enumerate(run.epochs, start=1))
    for row in run.epochs:
        for name in (LOG_STEP, FRACTION, MOMENT):
            row.pop(name, None)
    rows = run.epochs if by_epoch and not any(ELAPSED in row for row in run.epochs) else None
    columns = from_rows(run.epochs)
    if (elapsed := columns.pop(ELAPSED, None)) is not None:
        seconds = np.diff(elapsed.floats, prepend=0.0)
        columns.setdefault("train_seconds", Cells(seconds, np.isfinite(seconds)))
    for name in drop_false_clocks(columns, ("tokens",) if elapsed is None else ("tokens", "seconds")):
        run.note(f"{name} does not rise from evaluation to evaluation: not used", run.places[0])
    diverged = diverged_evaluation(columns)
    return RecordedRun(run.where, run.task, run.schedule, run.seed, columns, diverged, rows, run.notes)


def _alike(rows: list[Row]) -> list[Row]:
    """Rows that all have the same columns, which those of several files need not."""
    if all(row.keys() == rows[0].keys() for row in rows):
        return rows
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column) for column in columns} for row in rows]


def _number_problems(run: Run) -> Iterator[Problem]:
    for (where, line), row in zip(run.places, run.epochs, strict=True):
        if not is_count(row["epoch"]):
            remedy = "Number the epochs 1, 2, 3, … or 0, 1, 2, …"
            yield Problem(where, "epoch", "is not an epoch's number", remedy, row["epoch"], line)
        elif row["epoch"] > LARGEST:
            message = f"is not an epoch's number: more than {LARGEST:,}"
            remedy = "If this is a time or a step, add a column that counts the epochs"
            yield Problem(where, "epoch", message, remedy, row["epoch"], line)
        for column in ("step", "samples", "tokens"):
            if row.get(column) is None:
                continue
            if not is_count(row[column]):
                message = "is not a whole number from 0, below 2^63"
                yield Problem(where, column, message, "Correct the column", row[column], line)
            else:
                row[column] = int(row[column])  # a column with gaps is often one of floating point


def _restart(run: Run, groups: Sequence[Group], has_seeds: bool) -> Problem | None:
    """The problem of epochs that go back: a run that was started again, or several runs in one."""
    back = next((b for a, b in pairwise(groups) if b[1][0]["epoch"] < a[1][0]["epoch"]), None)
    if back is None:
        return None
    place = back[0][0]
    times = Counter(rows[0]["epoch"] for _, rows in groups)
    repeated = {int(epoch) for epoch, count in times.items() if count > 1}
    if not repeated:
        message = f"the epochs of {run} are out of order"
        return Problem(place[0], "epoch", message, "Sort the rows by epoch", line=place[1])
    start = {rows[0]["epoch"] for _, rows in groups} & {0}
    shown = {epoch + len(start) for epoch in repeated}
    header = (place[0], place[1] - 1) if place[1] is not None else place
    where = "the log starts again here"
    if header in run.headers:
        place, where = header, "the header is repeated here and the epochs start again"
    message = f"{_epochs_of(run, shown, 'repeated')}: {where}"
    return Problem(place[0], "epoch", message, _repeat_remedy(has_seeds), line=place[1])


def _repeat_remedy(has_seeds: bool) -> str:
    """The remedies for a log that holds an epoch twice."""
    apart = "name another column that tells runs apart" if has_seeds else APART
    return f"If the run was resumed, keep the later row of each epoch; if these are several runs, {apart}"


def _conflict(groups: Sequence[Group], run: Run, has_seeds: bool, *, offset: bool) -> Problem | None:
    """The problem of two values for one epoch whose order nothing tells."""
    found: list[tuple[float, Conflict]] = []
    for places, rows in groups:
        trouble = conflict(places, rows)
        if trouble is not None:
            found.append((rows[0]["epoch"], trouble))
    if not found:
        return None
    shown = {int(epoch) + offset for epoch, _ in found}
    trouble = found[0][1]
    where, line = trouble.place
    if trouble.only_validation:
        message = f"{_epochs_of(run, shown, 'validated more than once')}, and no column step tells the order"
        remedy = "Keep the last validation of each epoch, or add a column step"
        return Problem(where, "epoch", message, remedy, line=line)
    before = "" if trouble.before[1] is None else f": this row and that {_at(trouble.before, where)}"
    at = "" if trouble.step is None else f" (step {trouble.step} is not after the one before)"
    message = f"{_epochs_of(run, shown, 'repeated')}{before}{at}"
    steps = "" if trouble.step is not None else "; if each epoch has several rows, add a column step"
    return Problem(where, "epoch", message, _repeat_remedy(has_seeds) + steps, line=line)


def _at(place: Place, where: str) -> str:
    return f"on line {place[1]}" if place[0] == where else f"at {place[0]}:{place[1]}"


def _merge(run: Run, groups: Sequence[Group]) -> None:
    """Make the rows of the epochs one row for each evaluation."""
    is_of_steps = len(groups) < sum(len(rows) for _, rows in groups)
    parts = [by_validation(*group) for group in groups]
    evaluations = [part for of_epoch in parts for part in of_epoch]
    run.places = [places[0] for places, _ in evaluations]
    run.epochs = [merged(rows) if is_of_steps else rows[0] for _, rows in evaluations]
    if not count_steps_from_one(run.epochs, is_of_steps=is_of_steps, is_trainer=run.is_trainer):
        run.note("step starts again in every epoch: not used", run.places[0])
    first = min(row["epoch"] for row in run.epochs)
    for row in run.epochs:
        row["epoch"] = int(row["epoch"]) + (first == 0)  # Keras and Lightning count from 0
    null_unvalidated(run.epochs)
    if any(row.get(FRACTION) is not None for row in run.epochs):
        _take_fractions(run, evaluations)
    elif len(evaluations) > len(groups):
        several = next(of_epoch for of_epoch in parts if len(of_epoch) > 1)
        far = "" if number_parts(run.epochs, list(map(len, parts))) else ", taken as equally far apart"
        run.note(f"an epoch has several validations: each is an evaluation{far}", several[0][0][0])


def _take_fractions(run: Run, evaluations: Sequence[Group]) -> None:
    """Give each evaluation of the Trainer's log the epochs done at its validation, else at its last row."""
    for row, (_, rows) in zip(run.epochs, evaluations, strict=True):
        known = [each[FRACTION] for each in rows if validates(each)] or [rows[-1][FRACTION]]
        if known[-1] is not None and known[-1] > 0 and known[-1] != row["epoch"]:
            row["epoch"] = known[-1]


def _missing(run: Run) -> Iterator[Problem]:
    if any(row.get(FRACTION) is not None for row in run.epochs):
        return  # the Trainer evaluates when it is told to
    epochs = [0, *dict.fromkeys(math.ceil(row["epoch"]) for row in run.epochs)]
    missing: list[int] = []
    count = epochs[-1] - len(epochs) + 1
    for a, b in pairwise(epochs):
        missing += range(a + 1, min(b, a + 1 + _SHOWN))
    if count:
        remedy = "Give every epoch from the first to the last, or number those that were recorded 1, 2, 3, …"
        yield Problem(run.where, "epoch", _epochs_of(run, set(missing[:_SHOWN]), "missing", count), remedy)


def _range_problems(run: Run) -> Iterator[Problem]:
    for column in ("train_accuracy", "val_accuracy"):
        for (where, line), row in zip(run.places, run.epochs, strict=True):
            value = row.get(column)
            if value is not None and (value < 0 or value > 1):
                remedy = "Give accuracies as fractions: divide percentages by 100"
                yield Problem(where, column, "is outside 0 to 1", remedy, value, line)


def _epochs_of(run: Run, epochs: set[int], what: str, count: int | None = None) -> str:
    """Return a statement of a run's epochs, the first of them named; ``count`` where there are more."""
    shown = ", ".join(map(str, sorted(epochs)[:_SHOWN]))
    count = len(epochs) if count is None else count
    more = count - _SHOWN
    listed = shown + (f" and {more} more" if more > 0 else "")
    return f"epoch {listed} of {run} is {what}" if count == 1 else f"epochs {listed} of {run} are {what}"
