"""Recorded histories: logs of any kind that ``log_formats`` reads, taken apart into runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from lrstudy.errors import InputError, Problem
from lrstudy.store.columns import LOG_STEP, Match, is_test
from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_match import is_counted, match_table, scale_percentages, takes_test_for_validation
from lrstudy.store.log_rows import add_rows
from lrstudy.store.log_run import Run, settle
from lrstudy.store.log_selectors import FILE_COLUMN, Grouping
from lrstudy.store.log_series import Series
from lrstudy.store.metric_choice import AskedMetric
from lrstudy.store.recorded_run import RecordedRun
from lrstudy.store.seeds import number_runs
from lrstudy.store.series_evaluations import settle_series
from lrstudy.store.series_rows import add_series

Read = Callable[[str], Sequence[LogTable]]


@dataclass(slots=True)
class Histories:
    """All runs of the files, the columns that were not used, notes for the user, and problems."""

    runs: list[RecordedRun] = field(default_factory=list)
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


def read_runs(
    tables: Sequence[LogTable], grouping: Grouping, asked: AskedMetric | None = None, clock: str | None = None
) -> Histories:
    """All runs in the tables, in order of appearance, with epochs counted from 1.

    ``asked`` is the metric to judge by and ``clock`` that of times, where they were given.
    """
    histories = Histories()
    runs: dict[Any, Run | Series] = {}
    by_test = takes_test_for_validation(tables)
    for table in tables:
        try:
            match = match_table(table, grouping, by_test=by_test, asked=asked, clock=clock)
            histories.notes += scale_percentages(table, match)
            if is_counted(table, match):
                add_series(runs, table, match, grouping)
            else:
                add_rows(runs, table, match, grouping)
        except InputError as error:
            histories.problems += error.problems
            continue
        _tell(histories, table, match, grouping)
    histories.notes += number_runs(runs.values(), grouping)
    for run in runs.values():
        try:
            if isinstance(run, Series):
                column = None if asked is None else asked.column
                has_seeds = grouping.seed is not None
                recorded = settle_series(run, has_seeds=has_seeds, judged=column, clock=clock)
            else:
                recorded = settle(run, has_seeds=grouping.seed is not None)
        except InputError as error:
            histories.problems += error.problems
            continue
        histories.runs.append(recorded)
        histories.notes += recorded.notes
    return histories


def _tell(histories: Histories, table: LogTable, match: Match, grouping: Grouping) -> None:
    """Keep the columns of a table that were not used, and its notes."""
    used = {*match.found.values(), *grouping.selectors, FILE_COLUMN, LOG_STEP}
    histories.unused |= dict.fromkeys(name for name in table.names if name not in used)
    histories.notes += [(note, "") for note in table.notes]
    histories.notes += [
        (f"{match.found[column]} of the test split taken for validation", table.where)
        for column in ("val_loss", "val_accuracy", "val_r2")
        if column in match.found and is_test(match.found[column])
    ]


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
