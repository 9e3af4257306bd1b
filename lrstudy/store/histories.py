"""Recorded histories: CSV or Parquet files with a row per epoch, read and checked run by run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.store.columns import match_columns
from lrstudy.store.step_logs import by_epoch, merged, with_epochs

FILE_COLUMN: Final = "file"
# Not "NaN": pyarrow's default takes it for a missing value, and here it is a measured one.
_NULLS: Final = ["", "null", "NULL", "None", "NA", "N/A"]
_SHOWN: Final = 5


@dataclass(slots=True)
class Run:
    """One training: what names its task, schedule and seed, and its epochs in the store's columns."""

    where: str
    task: tuple[str, ...]
    schedule: tuple[str, ...]
    seed: int
    epochs: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        names = [value for value in (*self.task, *self.schedule) if value]
        return " ".join([*names, f"seed {self.seed}"])


@dataclass(frozen=True, slots=True)
class Grouping:
    """The columns that say which task, schedule and seed a row is of.

    ``file`` names the row's file where the files have no such column themselves (``file_names``).
    """

    task: Sequence[str] = ()
    schedule: Sequence[str] = ()
    seed: str | None = None

    @property
    def columns(self) -> list[str]:
        """All of them."""
        return [*self.task, *self.schedule, *([self.seed] if self.seed else [])]


def read_runs(files: Sequence[str | PathLike[str]], grouping: Grouping) -> tuple[list[Run], list[str]]:
    """All runs in the files, in order of appearance, with epochs counted from 1; and the unused columns.

    Raises ``InputError`` with every problem of every file and run.
    """
    runs: dict[Any, Run] = {}
    unused: dict[str, None] = {}
    problems: list[Problem] = []
    for file, name in zip(files, file_names(files), strict=True):
        try:
            table = _load(Path(file), grouping, name)
            columns = _columns(str(file), table, grouping)
            _add(runs, str(file), table, columns, grouping)
            used = {*columns.values(), *grouping.columns, FILE_COLUMN}
            unused |= dict.fromkeys(name for name in table.column_names if name not in used)
        except InputError as error:
            problems += error.problems
    for run in runs.values():
        problems += _settle(run, grouping)
    if problems:
        raise InputError(problems)
    return list(runs.values()), list(unused)


def file_names(files: Sequence[str | PathLike[str]]) -> list[str]:
    """What each file is called: its name without ending, or where two share that, what their paths differ in.

    >>> file_names(["logs/step.csv", "logs/fixed.csv"])
    ['step', 'fixed']
    >>> file_names(["logs/step/version_0/metrics.csv", "logs/fixed/version_0/metrics.csv"])
    ['step', 'fixed']
    """
    stems = [Path(file).stem for file in files]
    paths = [Path(file).absolute().with_suffix("").parts for file in files]
    if len(set(stems)) == len(set(paths)):
        return stems
    start = _shared(paths)
    end = _shared([path[:start:-1] for path in paths])
    cut = [path[start : len(path) - end] for path in paths]
    return ["-".join(parts or path[start:]) for parts, path in zip(cut, paths, strict=True)]


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """How many parts at their beginning all paths share."""
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))


def _load(file: Path, grouping: Grouping, name: str) -> Any:
    try:
        with file.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
        table = pq.read_table(file) if is_parquet else _load_csv(file, grouping)
        names = table.column_names  # only here does a binary file's "header" fail to be text
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        message = str(getattr(error, "strerror", None) or error).splitlines()[0]
        remedy = "Give a CSV or Parquet file with one row per epoch"
        raise InputError(Problem(str(file), "", f"cannot be read ({message})", remedy)) from error
    if table.num_rows == 0:
        raise InputError(Problem(str(file), "", "has no rows", "Give a file with one row per epoch"))
    if FILE_COLUMN in grouping.columns and FILE_COLUMN not in names:
        table = table.append_column(FILE_COLUMN, pa.array([name] * table.num_rows))
    return table


def _load_csv(file: Path, grouping: Grouping) -> Any:
    options = pyarrow.csv.ConvertOptions(
        null_values=_NULLS,
        strings_can_be_null=True,
        # Names stay as they are written: 0.010 is not 0.01.
        column_types=dict.fromkeys([*grouping.task, *grouping.schedule], pa.string()),
    )
    return pyarrow.csv.read_csv(file, convert_options=options)


def _columns(where: str, table: Any, grouping: Grouping) -> dict[str, str]:
    """The store's columns that the file gives, each with the file's name for it."""
    twice = [name for name, times in Counter(table.column_names).items() if times > 1]
    if twice:
        raise InputError(Problem(where, ", ".join(twice), "stands there twice", "Keep one of the columns"))
    problems = [
        Problem(where, name, "no such column", did_you_mean(name, [*table.column_names, FILE_COLUMN]))
        for name in grouping.columns
        if name not in table.column_names
    ]
    found, doubts = match_columns([name for name in table.column_names if name not in grouping.columns])
    for names in doubts:
        message = "these columns mean the same"
        problems.append(Problem(where, ", ".join(names), message, "Keep one of them in the file"))
    if "epoch" not in found:
        remedy = "Add one that counts the epochs, from 0 or 1"
        problems.append(Problem(where, "epoch", "there is no such column", remedy))
    for name in found.values():
        kind = table.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            problems.append(Problem(where, name, f"must hold numbers, not {kind}", "Correct the column"))
    if not any(column.startswith(("train_", "val_")) and column != "train_seconds" for column in found):
        remedy = "Name one of them train_loss, train_accuracy, val_loss or val_accuracy"
        problems.append(Problem(where, "", "has no column that is a loss or an accuracy", remedy))
    if problems:
        raise InputError(problems)
    return found


def _add(
    runs: dict[Any, Run], where: str, table: Any, columns: Mapping[str, str], grouping: Grouping
) -> None:
    wanted = table.select(list(dict.fromkeys([*grouping.columns, *columns.values()])))
    for line, row in enumerate(wanted.to_pylist(), start=2):
        task = tuple(_text(row[name]) for name in grouping.task)
        schedule = tuple(_text(row[name]) for name in grouping.schedule)
        seed = _seed(where, line, grouping.seed, row)
        run = runs.setdefault((task, schedule, seed), Run(where, task, schedule, seed))
        run.epochs.append({column: row[name] for column, name in columns.items()})
        run.lines.append(line)


def _text(value: Any) -> str:
    """A name as a text of one line: what could steer a terminal or break a line becomes an escape.

    >>> _text("step\\x1b[2J"), _text(0.1), _text(None)
    ('step\\\\x1b[2J', '0.1', '')
    """
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _seed(where: str, line: int, column: str | None, row: Mapping[str, Any]) -> int:
    if column is None:
        return 0
    value = row[column]
    if not _is_count(value):
        remedy = "Give every row the whole number of its run"
        raise InputError(Problem(where, column, "is not a seed", remedy, value, line))
    return int(value)


def _settle(run: Run, grouping: Grouping) -> Iterator[Problem]:
    """Bring a run's epochs into the store's form, and say what is wrong with them."""
    run.lines, run.epochs = with_epochs(run.lines, run.epochs)
    problems = list(_number_problems(run))
    if problems:
        yield from problems
        return
    groups = by_epoch(run.lines, run.epochs)
    if len(groups) < len(run.epochs) and any(row.get("step") is not None for row in run.epochs):
        run.lines = [lines[0] for lines, _ in groups]
        run.epochs = [merged(rows) for _, rows in groups]
    first = min(row["epoch"] for row in run.epochs)
    for row in run.epochs:
        row["epoch"] = int(row["epoch"]) + (first == 0)  # Keras and Lightning count from 0
    yield from _order_problems(run, grouping)
    yield from _range_problems(run)


def _number_problems(run: Run) -> Iterator[Problem]:
    for line, row in zip(run.lines, run.epochs, strict=True):
        if not _is_count(row["epoch"]):
            remedy = "Number the epochs 1, 2, 3, … or 0, 1, 2, …"
            yield Problem(run.where, "epoch", f"is not an epoch's number ({run})", remedy, row["epoch"], line)
        for column in ("step", "samples"):
            if row.get(column) is None:
                continue
            if not _is_count(row[column]):
                message = f"is not a whole number from 0 ({run})"
                yield Problem(run.where, column, message, "Correct the column", row[column], line)
            else:
                row[column] = int(row[column])  # a CSV column with gaps is read as floating point


def _is_count(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return value == int(value) and value >= 0


def _order_problems(run: Run, grouping: Grouping) -> Iterator[Problem]:
    epochs = [row["epoch"] for row in run.epochs]
    repeated = {epoch for epoch, times in Counter(epochs).items() if times > 1}
    repeated |= {row["epoch"] for row in run.epochs if row.pop("repeated", None)}
    missing = set(range(1, max(epochs) + 1)) - set(epochs)
    if repeated:
        remedy = (
            "Name the column that tells the runs apart (--seed-column, --schedule-columns, --task-columns)"
        )
        if grouping.seed is not None:
            remedy = "Keep one row per epoch of a run, or name another column that tells runs apart"
        yield Problem(run.where, "epoch", f"{_some(repeated)} of {run} stand there more than once", remedy)
    elif epochs != sorted(epochs):
        line = next(line for line, a, b in zip(run.lines[1:], epochs, epochs[1:], strict=False) if b < a)
        message = f"the epochs of {run} are out of order"
        yield Problem(run.where, "epoch", message, "Sort the rows by epoch", line=line)
    if missing:
        remedy = "Give every epoch from the first to the last, or number those that were recorded 1, 2, 3, …"
        yield Problem(run.where, "epoch", f"{_some(missing)} of {run} are missing", remedy)


def _range_problems(run: Run) -> Iterator[Problem]:
    for column in ("train_accuracy", "val_accuracy"):
        values = [row[column] for row in run.epochs if row.get(column) is not None]
        wrong = next((value for value in values if value < 0 or value > 1), None)
        if wrong is not None:
            remedy = "Give accuracies as fractions: divide percentages by 100"
            yield Problem(run.where, column, f"is outside 0 to 1 ({run})", remedy, wrong)


def _some(epochs: set[int]) -> str:
    shown = ", ".join(map(str, sorted(epochs)[:_SHOWN]))
    more = len(epochs) - _SHOWN
    return f"epochs {shown}" + (f" and {more} more" if more > 0 else "")
