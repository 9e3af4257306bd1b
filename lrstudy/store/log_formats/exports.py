"""Exports of other tools that are no table of a run's rows: brought into that form, or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lrstudy.store.log_formats.metric_lists import is_metric_list, read_metric_list
from lrstudy.store.log_formats.scalar_downloads import is_scalar, read_scalar
from lrstudy.store.log_formats.table import LogTable, refusal
from lrstudy.store.log_formats.wandb_charts import is_chart, read_chart

_TABLE: Final = "a table with a row per epoch or evaluation and a column per metric (epoch, val_accuracy, …)"


def without_export(table: LogTable) -> LogTable:
    """Return the table of rows that an export stands for, or the table itself.

    Raises ``InputError`` for an export that holds no rows of a training.
    """
    names = table.names
    if is_chart(names):
        return read_chart(table)
    if is_scalar(names):
        return read_scalar(table)
    if is_metric_list(names):
        return read_metric_list(table)
    _refuse_list_of_runs(table.where, names)
    return table


def _refuse_list_of_runs(where: str, names: Sequence[str]) -> None:
    if {"name", "state", "runtime"} <= {name.lower() for name in names}:
        remedy = f"Export each run's history as {_TABLE}"
        raise refusal(where, "is W&B's table of runs: a row per run", remedy)
