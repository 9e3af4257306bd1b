"""The rows of a table that is read as columns, by the run that they are of."""

from __future__ import annotations

from typing import Any

from lrstudy.store.cells import Index
from lrstudy.store.columns import LOG_STEP, Match
from lrstudy.store.log_formats import LogTable
from lrstudy.store.log_selectors import Grouping, run_columns
from lrstudy.store.log_series import Series, parts_of
from lrstudy.store.seeds import RunKey, keys_of, one_key


def add_series(runs: dict[Any, Any], table: LogTable, match: Match, grouping: Grouping) -> None:
    """Add a table's rows to their runs."""
    found = dict(match.found)
    if LOG_STEP in table.columns:
        found[LOG_STEP] = LOG_STEP
    parts: dict[RunKey, Index | None]
    if run_columns(table, grouping):
        parts = dict(parts_of(keys_of(table, grouping)))
    else:
        parts = {one_key(table, grouping): None}
    for key, index in parts.items():
        run = runs.setdefault((Series, key), Series(table.where, key.task, key.schedule, key.seed))
        run.parts.append((table, found, index))
