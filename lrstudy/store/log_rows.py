"""Logs with epochs, row by row: the runs that their rows are of."""

from __future__ import annotations

import math
from typing import Any

from lrstudy.store.columns import FRACTION, LOG_STEP, Match
from lrstudy.store.log_formats import LogTable
from lrstudy.store.log_run import LARGEST, Run
from lrstudy.store.log_selectors import Grouping
from lrstudy.store.seeds import keys_of


def add_rows(runs: dict[Any, Any], table: LogTable, match: Match, grouping: Grouping) -> None:
    """Add a table's rows to their runs."""
    columns = {column: table.columns[name] for column, name in match.found.items()}
    if LOG_STEP in table.columns:
        columns[LOG_STEP] = table.columns[LOG_STEP]
    is_trainer = _round_up_epochs(table, columns)
    rows = zip(*columns.values(), strict=True)
    for row, line, key in zip(rows, table.lines, keys_of(table, grouping), strict=True):
        run = runs.setdefault((Run, key), Run(table.where, key.task, key.schedule, key.seed))
        run.epochs.append(dict(zip(columns, row, strict=True)))
        run.places.append((table.where, line))
        run.is_trainer = run.is_trainer or is_trainer
    if table.headers:
        for run in runs.values():
            if isinstance(run, Run):
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
        columns[FRACTION] = epochs
        steps = columns.get("step", [None] * len(epochs))
        columns["epoch"] = [
            epoch if epoch is None else max(math.ceil(epoch - 1e-6), 0 if step == 0 else 1)
            for epoch, step in zip(epochs, steps, strict=True)
        ]
    return is_trainer
