"""Selectors: where a log says which task, schedule and seed a row is of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.store.cells import is_array
from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_options import ImportOptions

FILE_COLUMN: Final = "file"
RUN_NAME: Final = "run.name"
RUN_ID: Final = "run.id"
# A run's seed, where a tracker keeps it under the name that most scripts give it.
_SEEDS: Final = ("config.seed", "params.seed", "seed")
_FIELDS: Final = ("task", "schedule", "seed")
_PART: Final = re.compile(r"path:(\d{1,3})")
_FIELD: Final = re.compile(r"\{(\w*)\}", re.ASCII)
_SUFFIX: Final = re.compile(r"\.(csv|tsv|txt|log|json|jsonl|ndjson|parquet|pq|gz)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grouping:
    """The selectors of a row's task, schedule and seed.

    ``file`` names the row's file where the files have no such column themselves. With ``by_run`` each
    table, or each run in it, is a training that no other row belongs to: without a seed it gets one.
    """

    task: Sequence[str] = ()
    schedule: Sequence[str] = ()
    seed: str | None = None
    by_run: bool = False

    @property
    def selectors(self) -> list[str]:
        """All of them."""
        return [*self.task, *self.schedule, *([self.seed] if self.seed else [])]

    def columns(self, table: LogTable) -> list[str]:
        """Return those that are columns of a table."""
        return [name for selector in self.selectors if (name := column_of(table, selector)) is not None]


def grouping_of(tables: Sequence[LogTable], options: ImportOptions) -> Grouping:
    """Return the selectors of the options, and what stands in for those not given."""
    task, schedule = _shown(options.task_from), options.schedule_from and _shown(options.schedule_from)
    seed = options.seed_from and printable(options.seed_from.strip())
    pattern = next((text for text in (*task, *(schedule or ()), seed or "") if is_pattern(text)), None)
    fields = set(_FIELD.findall(pattern)) if pattern is not None else set()
    by_run = bool(tables) and all(map(is_of_one_run, tables))
    if not task and pattern is not None and "task" in fields:
        task = (pattern,)
    if schedule is None and pattern is not None and "schedule" in fields:
        schedule = (pattern,)
    if seed is None and pattern is not None and "seed" in fields:
        seed = pattern
    if schedule is None:
        schedule = (_usual_schedule(tables),)
    if seed is None and by_run:
        seed = next((name for name in _SEEDS if all(_is_seed(table, name) for table in tables)), None)
    return Grouping(task, schedule, seed, by_run)


def _is_seed(table: LogTable, name: str) -> bool:
    value = table.constants.get(name)
    return re.fullmatch(r"\d{1,18}", str(value), re.ASCII) is not None


def _usual_schedule(tables: Sequence[LogTable]) -> str:
    for name in ("schedule", RUN_NAME, RUN_ID):
        if all(_has(table, name) for table in tables):
            return name
    return FILE_COLUMN


def _has(table: LogTable, name: str) -> bool:
    return name in table.columns or table.constants.get(name) is not None


def is_of_one_run(table: LogTable) -> bool:
    """Return True if a tracker tells the table's runs apart."""
    return _has(table, RUN_NAME) or _has(table, RUN_ID)


def run_identity(table: LogTable) -> Sequence[str | None]:
    """Return the tracker's name of the run of each row."""
    parts = [
        table.columns[name] if name in table.columns else [table.constants.get(name)] * len(table)
        for name in (RUN_ID, RUN_NAME)
    ]
    return [f"{first}\n{second}" for first, second in zip(*parts, strict=True)]


def run_columns(table: LogTable, grouping: Grouping) -> list[str]:
    """Return the columns of a table that tell its runs apart."""
    identity = [name for name in (RUN_ID, RUN_NAME) if grouping.by_run and name in table.columns]
    return [*grouping.columns(table), *identity]


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(printable(name.strip()) for name in names)


def is_pattern(selector: str) -> bool:
    """Return True if a selector is a pattern of a path's end."""
    return any(field in _FIELDS for field in _FIELD.findall(selector))


def column_of(table: LogTable, selector: str) -> str | None:
    """Return the column that a selector names: ``config.lr`` is ``config/lr`` in Ray Tune's files, too."""
    names = (selector, selector.replace(".", "/"))
    return next((name for name in names if name in table.columns), None)


def rows_of(table: LogTable, selector: str, field: str) -> Sequence[Any]:
    """Return the value of each row, for the ``field`` of a pattern (``task``, ``schedule``, ``seed``).

    Raises ``InputError`` for a selector that the table has no value for.
    """
    if (column := column_of(table, selector)) is not None:
        cells: Any = table.columns[column]
        rows: list[Any] = cells.tolist() if is_array(cells) else cells
        return rows
    return [of_whole_table(table, selector, field)] * len(table)


def of_whole_table(table: LogTable, selector: str, field: str) -> Any:
    """Return the value that a whole table has; raises ``InputError`` for a selector without one."""
    if part := _PART.fullmatch(selector):
        return _path_part(table, int(part[1]))
    if is_pattern(selector):
        return _path_field(table, selector, field)
    if table.constants.get(selector) is not None:
        return table.constants[selector]
    known = [*table.columns, *table.constants]
    what = "no such column or value of the run" if len(table.constants) > 1 else "no such column"
    raise InputError(Problem(table.where, selector, what, did_you_mean(selector, known)))


def selector_problems(table: LogTable, grouping: Grouping) -> list[Problem]:
    """Return the problems of the selectors that a table has no value for, or none that is a name."""
    problems: list[Problem] = []
    for name in dict.fromkeys(grouping.selectors):
        column = column_of(table, name)
        if column is None:
            try:
                of_whole_table(table, name, "")
            except InputError as error:
                problems += error.problems
        elif column in table.foreign and set(table.columns[column]) == {None}:
            message = f"must hold names, not {table.foreign[column]}"
            problems.append(Problem(table.where, name, message, "Choose another column"))
    return problems


def _path_part(table: LogTable, number: int) -> str:
    given = PurePath(table.where).parts
    parts = given if 0 < number <= len(given) else Path(table.where).absolute().parts
    if not 0 < number <= len(parts):
        remedy = "path:1 is the file's name without its endings, path:2 its folder"
        message = f"the path has {len(parts)} parts"
        raise InputError(Problem(table.where, f"path:{number}", message, remedy))
    return without_endings(parts[-number]) if number == 1 else parts[-number]


def without_endings(name: str) -> str:
    """Return a file's name without the endings of a log's file.

    >>> without_endings("cosine-0.1.csv.gz"), without_endings("lr0.1")
    ('cosine-0.1', 'lr0.1')
    """
    while (shorter := _SUFFIX.sub("", name)) not in ("", name):
        name = shorter
    return name


def _path_field(table: LogTable, pattern: str, field: str) -> str:
    end = re.compile(rf"(?:.*/)?{_expression(pattern)}", re.DOTALL)
    match = end.fullmatch(table.where) or end.fullmatch(without_endings(table.where))
    if match is None:
        remedy = "Give a pattern that all paths end in, such as '{schedule}-{seed}.csv'"
        raise InputError(Problem(table.where, pattern, "the path does not end in this pattern", remedy))
    return match[field] if field in match.groupdict() else ""


def _expression(pattern: str) -> str:
    parts, seen = [], set[str]()
    for at, part in enumerate(_FIELD.split(pattern)):
        if at % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        elif part in _FIELDS:
            seen.add(part)
            parts.append(rf"(?P<{part}>\d+)" if part == "seed" else f"(?P<{part}>[^/]+?)")
        else:
            parts.append("[^/]+?")
    return "".join(parts)
