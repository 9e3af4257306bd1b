"""TensorBoard's downloads of one scalar, as CSV or JSON: run and tag are in the file's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

from lrstudy.store.log_formats.table import LogTable, refusal

TIME: Final = "Wall time"
STEP: Final = "Step"
VALUE: Final = "Value"
_NAME: Final = re.compile(r"run-(?P<run>.*)-tag-(?P<tag>.+?)(?: ?\(\d+\))?\.(?:csv|json)(?:\.gz)?", re.DOTALL)
# Keras writes each split of a run into a folder below the run's.
_SPLIT: Final = re.compile(r"(?P<run>.*?)[/_.-]?(?P<split>train|validation)", re.DOTALL)
_KERAS: Final = "epoch_"


def is_scalar(names: Sequence[str]) -> bool:
    """Return True if the columns are those of a download."""
    return {TIME.lower(), STEP.lower(), VALUE.lower()} == {name.lower() for name in names}


def is_scalar_json(content: Any) -> bool:
    """Return True if a JSON document is a download: a list of moment, step and value."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(row, list) and len(row) == len((TIME, STEP, VALUE)) for row in content)
    )


def scalar_table(where: str, content: Sequence[Sequence[Any]]) -> LogTable:
    """Return the table of a download in JSON."""
    columns = dict(zip((TIME, STEP, VALUE), map(list, zip(*content, strict=True)), strict=True))
    return LogTable(where, columns, [None] * len(content))


def read_scalar(table: LogTable) -> LogTable:
    """Return the table with its tag as a column and the run's name, where the file's name tells them."""
    by_name = {name.lower(): cells for name, cells in table.columns.items()}
    moments, steps, values = (by_name[name.lower()] for name in (TIME, STEP, VALUE))
    named = _NAME.fullmatch(PurePath(table.where).name)
    run, tag = (named["run"], named["tag"]) if named else ("", VALUE)
    step = STEP
    if split := _SPLIT.fullmatch(run):
        run = split["run"]
        step = "epoch" if tag.startswith(_KERAS) else STEP
        tag = f"{split['split']}_{tag.removeprefix(_KERAS)}"
    if tag.lower() in (TIME.lower(), step.lower()):
        raise refusal(table.where, f"is a scalar called {tag!r}", "Rename its tag in the file's name")
    columns = {TIME: moments, step: steps, tag: values}
    constants = table.constants | ({"run.name": run} if run and run != "." else {})
    return LogTable(
        table.where, columns, table.lines, is_text=table.is_text, notes=table.notes, constants=constants
    )
