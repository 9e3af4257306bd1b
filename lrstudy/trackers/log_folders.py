"""Folders of ordinary log files: all below that hold a table of a training, in order of their paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lrstudy.errors import InputError
from lrstudy.store.columns import is_known
from lrstudy.store.log_formats import LogTable, printable, read_log
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.run_tables import chosen

# A table's file must be readable; files with the other endings may be something else than logs.
_TABLES: Final = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson")
_PERHAPS: Final = (".json", ".log", ".txt")
_HIDDEN: Final = (".", "__")
_OF_RAY: Final = ("progress.csv", "result.json")
_TRAINER: Final = "trainer_state.json"
_CHECKPOINT: Final = "checkpoint-"
_SHOWN: Final = 3


def log_files(folder: Path) -> list[Path]:
    """Return the files below a folder that may be logs; of those that repeat each other one.

    Of a Trainer's checkpoints the last one's state; of a trial of Ray ``progress.csv``, which ``result.json``
    repeats.
    """
    files = []
    for inside, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        files += [Path(inside) / name for name in names if _ending(name) in (*_TABLES, *_PERHAPS)]
        if set(_OF_RAY) <= set(names):
            files.remove(Path(inside) / _OF_RAY[1])
    return sorted(_last_states([file for file in files if file.is_file()]))


def read_folder(source: Path, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return the table of each log below a folder; raises ``InputError`` without any, or for a broken one."""
    tables, left_out, problems = list[LogTable](), list[str](), list[InputError]()
    for file in log_files(source):
        try:
            table = read_log(file)
        except InputError as error:
            if _ending(file.name) in _TABLES:
                problems.append(error)
            else:
                left_out.append(printable(file.relative_to(source)))
            continue
        if any(map(is_known, table.names)) or (tags and chosen(table.names, tags)):
            tables.append(table)
        else:
            left_out.append(printable(file.relative_to(source)))
    if problems:
        raise InputError(problem for error in problems for problem in error.problems)
    if not tables:
        message = "holds no log of a training that lrstudy knows"
        if left_out:
            message += f" (no table of one: {_few(left_out)})"
        remedy = "Give event files, offline W&B runs, an mlruns folder, or CSV, Parquet or JSON files"
        raise refusal(printable(source), message, remedy)
    if left_out:
        tables[0].notes.append(f"{printable(source)}: left out, no logs of a training: {_few(left_out)}")
    return tables


def _ending(name: str) -> str:
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _last_states(files: Sequence[Path]) -> list[Path]:
    """Leave out the states in checkpoints that a later state of the same training repeats."""
    kept = [file for file in files if file.name != _TRAINER]
    by_training: dict[Path, list[Path]] = {}
    for file in files:
        if file.name == _TRAINER:
            inside_checkpoint = file.parent.name.startswith(_CHECKPOINT)
            training = file.parent.parent if inside_checkpoint else file.parent
            by_training.setdefault(training, []).append(file)
    return kept + [max(states, key=_state_order) for states in by_training.values()]


def _state_order(state: Path) -> tuple[bool, int, str]:
    number = state.parent.name.removeprefix(_CHECKPOINT)
    return not state.parent.name.startswith(_CHECKPOINT), int(number) if number.isdecimal() else 0, number


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
