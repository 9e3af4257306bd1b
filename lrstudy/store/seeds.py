"""The run that each row of a log is of: its task, schedule and seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from lrstudy.errors import InputError, Problem
from lrstudy.store.log_formats import LogTable, printable, read_numbers
from lrstudy.store.log_run import is_count
from lrstudy.store.log_selectors import Grouping, column_of, of_whole_table, rows_of, run_identity

_SEED_REMEDY: Final = "Give every row the whole number of its run, below 2^63"


class RunKey(NamedTuple):
    """The names and the seed of a run; ``identity`` is the name that a tracker gave it."""

    task: tuple[str, ...]
    schedule: tuple[str, ...]
    seed: int
    identity: str | None


def keys_of(table: LogTable, grouping: Grouping) -> list[RunKey]:
    """Return the run of each row."""
    tasks, schedules = (
        list(zip(*(rows_of(table, name, field) for name in names), strict=True)) or [()] * len(table)
        for field, names in (("task", grouping.task), ("schedule", grouping.schedule))
    )
    identities = run_identity(table) if grouping.by_run else [None] * len(table)
    known: dict[Any, RunKey] = {}
    keys = []
    for each in zip(tasks, schedules, _seeds(table, grouping.seed), identities, strict=True):
        key = known.get(each)
        if key is None:
            task, schedule, seed, identity = each
            key = RunKey(tuple(map(printable, task)), tuple(map(printable, schedule)), seed, identity)
            known[each] = key
        keys.append(key)
    return keys


def one_key(table: LogTable, grouping: Grouping) -> RunKey:
    """Return the run of a table in which no column tells runs apart."""
    tasks, schedules = (
        tuple(printable(of_whole_table(table, name, field)) for name in names)
        for field, names in (("task", grouping.task), ("schedule", grouping.schedule))
    )
    seed = 0 if grouping.seed is None else _whole_seed(table, grouping.seed)
    return RunKey(tasks, schedules, seed, run_identity(table)[0] if grouping.by_run else None)


def number_runs(runs: Iterable[Any], grouping: Grouping) -> list[tuple[str, str]]:
    """Number the runs of each schedule 0, 1, 2, … where a tracker tells them apart and no seed does."""
    if not grouping.by_run:
        return []
    groups: dict[Any, list[Any]] = {}
    for run in runs:
        groups.setdefault((run.task, run.schedule), []).append(run)
    if all(len({run.seed for run in group}) == len(group) for group in groups.values()):
        return []
    repeated = next(run for group in groups.values() for run in group[1:])
    for group in groups.values():
        for number, run in enumerate(group):
            run.seed = number
    what = "no seed is named" if grouping.seed is None else f"runs share a value of {grouping.seed}"
    return [
        (f"{what}: the runs of each schedule are numbered 0, 1, 2, … (--seed-from names one)", repeated.where)
    ]


def _seeds(table: LogTable, selector: str | None) -> list[int]:
    if selector is None:
        return [0] * len(table)
    column = column_of(table, selector)
    if column is None:
        return [_whole_seed(table, selector)] * len(table)
    problems = read_numbers(table, {"seed": column}) if column not in table.foreign else []
    cells: Mapping[int, Any] = dict(enumerate(rows_of(table, selector, "seed")))
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
