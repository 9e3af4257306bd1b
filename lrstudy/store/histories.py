"""Recorded histories: logs of any kind that ``log_formats`` reads, taken apart into runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from lrstudy.errors import InputError, Problem
from lrstudy.store.columns import LOG_STEP, Match, canonical, is_test, match_columns
from lrstudy.store.log_formats import LogTable, printable, read_numbers
from lrstudy.store.log_run import LARGEST, Run, is_count, settle
from lrstudy.store.log_selectors import FILE_COLUMN, Grouping, of_whole_table, rows_of, selector_problems

Read = Callable[[str], Sequence[LogTable]]

# A fraction of 1.5 is no accuracy, and a percentage below it would be no training.
_SURELY_PERCENT: Final = 1.5
_SEED_REMEDY: Final = "Give every row the whole number of its run, below 2^63"


@dataclass(slots=True)
class Histories:
    """All runs of the files, the columns that were not used, notes for the user, and problems."""

    runs: list[Run] = field(default_factory=list)
    unused: dict[str, None] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_logs(sources: Sequence[str | PathLike[str]], read: Read) -> tuple[list[LogTable], list[Problem]]:
    """The tables of each source that can be read, and the problems of the others."""
    tables: list[LogTable] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            tables += read(fspath(source))
        except InputError as error:
            problems += error.problems
    for table, name in zip(tables, file_names([table.where for table in tables]), strict=True):
        table.constants.setdefault(FILE_COLUMN, name)
    return tables, problems


def read_runs(tables: Iterable[LogTable], grouping: Grouping) -> Histories:
    """All runs in the tables, in order of appearance, with epochs counted from 1."""
    tables = list(tables)
    histories = Histories()
    runs: dict[Any, Run] = {}
    # A test split measured in every epoch is the only validation that many a script has.
    by_test = not any(map(_has_validation, tables)) and any(map(_tests_each_epoch, tables))
    for table in tables:
        try:
            match = _match(table, grouping, by_test)
            histories.notes += _scale(table, match)
            _add(runs, table, match, grouping)
        except InputError as error:
            histories.problems += error.problems
            continue
        used = {*match.found.values(), *grouping.selectors, FILE_COLUMN, LOG_STEP}
        histories.unused |= dict.fromkeys(name for name in table.names if name not in used)
        histories.notes += [(note, "") for note in table.notes]
        histories.notes += [
            (f"{match.found[column]} of the test split taken for validation", table.where)
            for column in ("val_loss", "val_accuracy", "val_r2")
            if column in match.found and is_test(match.found[column])
        ]
    for run in runs.values():
        histories.problems += settle(run, has_seeds=grouping.seed is not None)
        histories.notes += run.notes
    histories.runs = list(runs.values())
    return histories


def file_names(files: Sequence[str | PathLike[str]]) -> list[str]:
    """The name of each file: its own without ending, or where two share that, the part their paths differ in.

    >>> file_names(["logs/step.csv", "logs/fixed.csv"])
    ['step', 'fixed']
    >>> file_names(["logs/step/version_0/metrics.csv", "logs/fixed/version_0/metrics.csv"])
    ['step', 'fixed']
    """
    stems = [printable(_stem(Path(file))) for file in files]
    paths = [Path(file).absolute().with_suffix("").parts for file in files]
    if len(set(stems)) == len(set(paths)):
        return stems
    start = _shared(paths)
    end = _shared([path[:start:-1] for path in paths])
    cut = [path[start : len(path) - end] for path in paths]
    return [printable("-".join(parts or path[start:])) for parts, path in zip(cut, paths, strict=True)]


def _stem(file: Path) -> str:
    return Path(file.stem).stem if file.suffix == ".gz" else file.stem


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """The number of parts at their beginning that all paths share."""
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))


def _has_validation(table: LogTable) -> bool:
    return any(column.startswith("val_") for column in map(canonical, table.names) if column)


def _tests_each_epoch(table: LogTable) -> bool:
    """Return True if a column of a test split has a value in half of the rows at least."""
    tests = [table.columns[name] for name in table.names if is_test(name)]
    return any(2 * sum(cell is not None for cell in cells) >= len(cells) for cells in tests)


def _match(table: LogTable, grouping: Grouping, by_test: bool) -> Match:
    """The store's columns that the file gives; raises ``InputError`` with all that is wrong with them."""
    where = table.where
    problems = selector_problems(table, grouping)
    chosen = grouping.columns(table)
    names = [name for name in table.names if name not in chosen and name != FILE_COLUMN]
    match = match_columns(names, test_is_validation=by_test)
    for doubt in match.doubts:
        message = "these columns mean the same"
        problems.append(Problem(where, ", ".join(doubt), message, "Keep one of them in the file"))
    for name in match.unclear:
        message = "is of the training or of the validation split: the other columns do not tell"
        problems.append(Problem(where, name, message, f"Call it train_{name} or val_{name}"))
    if "epoch" not in match.found and not _number_by_index(table, match) and not match.doubts:
        problems.append(_no_epoch(table, match))
    if not any(column.startswith(("train_", "val_")) and column != "train_seconds" for column in match.found):
        remedy = "Name one of them train_loss, train_accuracy, val_loss or val_accuracy"
        if not match.unclear and not match.doubts:
            problems.append(Problem(where, "", "has no column that is a loss or an accuracy", remedy))
    log_step = {"step": LOG_STEP} if LOG_STEP in table.columns else {}
    problems += [*read_numbers(table, match.found), *read_numbers(table, log_step)]
    if problems:
        raise InputError(problems)
    return match


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


def _no_epoch(table: LogTable, match: Match) -> Problem:
    remedy = "Add one that counts the epochs, from 0 or 1"
    steps = match.found.get("step") or (LOG_STEP if LOG_STEP in table.columns else None)
    if steps:
        remedy += f": {steps} alone does not tell where an epoch ends"
    return Problem(table.where, "epoch", "there is no such column", remedy)


def _scale(table: LogTable, match: Match) -> list[tuple[str, str]]:
    """Bring percentages to fractions where the name says or implies them; returns notes."""
    notes = []
    for column in sorted(match.percent | match.perhaps_percent):
        name = match.found[column]
        if name in table.percent_signs:
            continue
        values = table.columns[name]
        largest = max((value for value in values if value is not None and math.isfinite(value)), default=0)
        if column in match.perhaps_percent and largest <= _SURELY_PERCENT:
            if largest == 0:
                continue
            message = "may be a percentage or a fraction: no value is above 1.5"
            remedy = f"Call it {column} and give fractions, or write the percent sign"
            raise InputError(Problem(table.where, name, message, remedy))
        table.columns[name] = [value if value is None else value / 100 for value in values]
        notes.append((f"{name} is in percent: divided by 100", table.where))
    return notes


def _add(runs: dict[Any, Run], table: LogTable, match: Match, grouping: Grouping) -> None:
    columns = {column: table.columns[name] for column, name in match.found.items()}
    if LOG_STEP in table.columns:
        columns[LOG_STEP] = table.columns[LOG_STEP]
    is_trainer = _round_up_epochs(table, columns)
    tasks, schedules = (
        list(zip(*(rows_of(table, name, field) for name in names), strict=True)) or [()] * len(table)
        for field, names in (("task", grouping.task), ("schedule", grouping.schedule))
    )
    seeds = _seeds(table, grouping.seed)
    rows = zip(*columns.values(), strict=True)
    for row, line, task, schedule, seed in zip(rows, table.lines, tasks, schedules, seeds, strict=True):
        key = tuple(map(printable, task)), tuple(map(printable, schedule)), seed
        run = runs.setdefault(key, Run(table.where, *key))
        run.epochs.append(dict(zip(columns, row, strict=True)))
        run.places.append((table.where, line))
        run.is_trainer = run.is_trainer or is_trainer
    if table.headers:
        for run in runs.values():
            run.headers |= {(table.where, line) for line in table.headers}


def _round_up_epochs(table: LogTable, columns: dict[str, list[Any]]) -> bool:
    """Return True if the log is the Trainer's, whose epochs are fractions: 0.5 is a part of the first epoch.

    Rounded to 0.0 it is so too, but for an evaluation at step 0, before the training.
    """
    epochs = columns["epoch"]
    names = [name.lower() for name in table.names]
    is_trainer = any(name.startswith(("eval_", "eval/")) for name in names)
    is_trainer = is_trainer or {"loss", "learning_rate", "step"} <= set(names)
    is_trainer = is_trainer and not any(name.startswith("val") for name in names)
    numbers = [value for value in epochs if value is not None]
    if not is_trainer or not all(math.isfinite(value) and 0 <= value <= LARGEST for value in numbers):
        return is_trainer
    if any(value != int(value) for value in numbers):
        columns.setdefault(LOG_STEP, epochs)
        steps = columns.get("step", [None] * len(epochs))
        columns["epoch"] = [
            epoch if epoch is None else max(math.ceil(epoch - 1e-6), 0 if step == 0 else 1)
            for epoch, step in zip(epochs, steps, strict=True)
        ]
    return is_trainer


def _seeds(table: LogTable, selector: str | None) -> list[int]:
    if selector is None:
        return [0] * len(table)
    if selector not in table.columns:
        return [_whole_seed(table, selector)] * len(table)
    problems = read_numbers(table, {"seed": selector}) if selector not in table.foreign else []
    cells: Mapping[int, Any] = dict(enumerate(table.columns[selector]))
    bad = {problem.line: problem.value for problem in problems}
    problems = [
        Problem(table.where, selector, "is not a seed", _SEED_REMEDY, bad.get(line, cells[at]), line)
        for at, line in enumerate(table.lines)
        if line in bad or not is_count(cells[at])
    ]
    if problems:
        raise InputError(problems)
    return [int(cell) for cell in cells.values()]


def _whole_seed(table: LogTable, selector: str) -> int:
    """The seed of a whole table: a number, or a text with one number in it, such as a folder's name."""
    value = of_whole_table(table, selector, "seed")
    numbers = re.findall(r"\d+", value) if isinstance(value, str) else []
    seed = int(numbers[0]) if len(numbers) == 1 and len(numbers[0]) <= 19 else value
    if not is_count(seed):
        raise InputError(Problem(table.where, selector, "is not a seed", _SEED_REMEDY, value))
    return int(seed)
