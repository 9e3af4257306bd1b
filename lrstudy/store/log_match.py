"""The columns of a log by the store's names: matched, checked, and turned into numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from lrstudy.errors import InputError, Problem
from lrstudy.store.cells import cells_of, count_known, is_array
from lrstudy.store.columns import (
    LOG_STEP,
    Match,
    canonical,
    is_test,
    is_validation,
    match_columns,
    time_columns,
)
from lrstudy.store.log_formats import VALUE, LogTable, is_number, read_numbers
from lrstudy.store.log_selectors import FILE_COLUMN, Grouping, is_of_one_run, selector_problems
from lrstudy.store.metric_choice import AskedMetric

# A fraction of 1.5 is no accuracy, and a percentage below it would be no training.
_SURELY_PERCENT: Final = 1.5
_CLOCKS: Final = frozenset(("step", "tokens", "samples", LOG_STEP))


def takes_test_for_validation(tables: Iterable[LogTable]) -> bool:
    """Return True if a test split, measured in every epoch, is the only validation that the logs have."""
    tables = list(tables)
    return not any(map(_has_validation, tables)) and any(map(_tests_each_epoch, tables))


def _has_validation(table: LogTable) -> bool:
    return any(column.startswith("val_") for column in map(canonical, table.names) if column)


def _tests_each_epoch(table: LogTable) -> bool:
    """Return True if a column of a test split has a value in half of the rows at least."""
    tests = [table.columns[name] for name in table.names if is_test(name)]
    return any(2 * count_known(cells) >= len(cells) for cells in tests)


def match_table(
    table: LogTable, grouping: Grouping, *, by_test: bool, asked: AskedMetric | None, clock: str | None
) -> Match:
    """Return the store's columns that a log gives; raises ``InputError`` with all that is wrong with them.

    ``asked`` is the metric to judge by and ``clock`` that of times, where they were given.
    """
    where = table.where
    problems = selector_problems(table, grouping)
    chosen = grouping.columns(table)
    names = [name for name in table.names if name not in chosen and name != FILE_COLUMN]
    match = match_columns(names, test_is_validation=by_test)
    if asked is not None and asked.source in names:
        match.choose(asked.column, asked.source)
    for doubt in match.doubts:
        message = "these columns mean the same"
        remedy = "Keep one of them in the file, or choose a metric: --metric NAME"
        problems.append(Problem(where, ", ".join(doubt), message, remedy))
    for name in match.unclear:
        message = "is of the training or of the validation split: the other columns do not tell"
        problems.append(Problem(where, name, message, f"Call it train_{name} or val_{name}"))
    is_counted = _add_clocks(table, match, names, clock)
    if (
        "epoch" not in match.found
        and not _number_by_index(table, match)
        and not is_counted
        and not match.doubts
    ):
        remedy = "Add one that counts the epochs, from 0 or 1, or a column step, tokens or seconds"
        problems.append(Problem(where, "epoch", "there is no such column", remedy))
    if not any(_is_metric(column) for column in match.found):
        remedy = "Name one of them train_loss, train_accuracy, val_loss or val_accuracy"
        if VALUE in names:
            remedy = "Call TensorBoard's file run-RUN-tag-TAG.csv, as it was downloaded"
        if not match.unclear and not match.doubts:
            remedy += "; or choose any: --metric NAME:min"
            problems.append(Problem(where, "", "has no column that is a loss or an accuracy", remedy))
    log_step = {"step": LOG_STEP} if LOG_STEP in names else {}
    problems += [*read_numbers(table, match.found), *read_numbers(table, log_step)]
    if problems:
        raise InputError(problems)
    return match


def _is_metric(column: str) -> bool:
    return is_validation(column) or (column.startswith("train_") and column != "train_seconds")


def _add_clocks(table: LogTable, match: Match, names: Sequence[str], clock: str | None) -> bool:
    """Match the columns of time where they are needed; return True if any column counts the training."""
    is_series = is_counted(table, match)
    counted = bool(_CLOCKS & {*match.found, *names})
    if is_series or clock == "seconds":
        for column, name in time_columns(names).items():
            if name not in match.found.values() and name not in table.foreign and _is_numeric(table, name):
                match.found[column] = name
                counted = True
    return counted


def _is_numeric(table: LogTable, name: str) -> bool:
    column = table.columns[name]
    if is_array(column):
        return True
    first = next((cell for cell in column if cell is not None), None)
    return is_number(first) if isinstance(first, str) else isinstance(first, int | float)


def is_counted(table: LogTable, match: Match) -> bool:
    """Return True if a log is read as columns: it has no epochs, or is a tracker's table of one run."""
    arrays = any(is_array(table.columns[name]) for name in match.found.values())
    return "epoch" not in match.found or arrays or is_of_one_run(table)


def _number_by_index(table: LogTable, match: Match) -> bool:
    """Take a first column without a name (pandas' index) as the epochs; return True if it is one."""
    index = table.names[0]
    cells = table.columns[index]
    if index not in ("column 1", "Unnamed: 0") or "step" in match.found:
        return False
    if [str(cell) for cell in cells] != [str(number) for number in range(len(cells))]:
        return False
    match.found["epoch"] = index
    table.notes.append(f"{table.where}: the first column, which has no name, counts the epochs")
    return True


def scale_percentages(table: LogTable, match: Match) -> list[tuple[str, str]]:
    """Bring percentages to fractions where the name says or implies them; returns notes."""
    notes = []
    for column in sorted(match.percent | match.perhaps_percent):
        name = match.found[column]
        if name in table.percent_signs:
            continue
        largest = _largest(table.columns[name])
        if column in match.perhaps_percent and largest <= _SURELY_PERCENT:
            if largest == 0:
                continue
            message = "may be a percentage or a fraction: no value is above 1.5"
            remedy = f"Call it {column} and give fractions, or write the percent sign"
            raise InputError(Problem(table.where, name, message, remedy))
        table.columns[name] = _hundredth(table.columns[name])
        notes.append((f"{name} is in percent: divided by 100", table.where))
    return notes


def _largest(column: Any) -> float:
    if is_array(column):
        cells = cells_of(column)
        return float(cells.values[cells.finite].max(initial=0))
    return max((value for value in column if value is not None and math.isfinite(value)), default=0)


def _hundredth(column: Any) -> Any:
    if is_array(column):
        cells = cells_of(column)
        return np.ma.MaskedArray(cells.values / 100, ~cells.known)
    return [value if value is None else value / 100 for value in column]
