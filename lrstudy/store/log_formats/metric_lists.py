"""Lists of metrics with a row per value, as MLflow, tbparse and many scripts write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lrstudy.store.log_formats.table import LogTable, printable, refusal

_KEYS: Final = ("key", "metric", "metric_name", "tag", "name")
_VALUE: Final = "value"
_ORDERS: Final = frozenset(("step", "epoch", "timestamp"))
_RUNS: Final = {"run_id": "run.id", "run_uuid": "run.id", "run_name": "run.name", "dir_name": "run.name"}
# Cells of the table that is made: a list of ten million values has a few metrics, not thousands.
_MOST: Final = 200_000_000


def is_metric_list(names: Sequence[str]) -> bool:
    """Return True if the columns are those of a list: the metric's name, its value, and when."""
    lower = {name.lower() for name in names}
    return _VALUE in lower and bool(lower & set(_KEYS)) and bool(lower & _ORDERS)


def read_metric_list(table: LogTable) -> LogTable:
    """Return the table with a column for each metric, filled in the rows that are its own."""
    by_name = {name.lower(): name for name in table.names}
    key = next(by_name[name] for name in _KEYS if name in by_name)
    value = by_name[_VALUE]
    keys = [printable(cell) for cell in table.columns[key]]
    metrics = list(dict.fromkeys(keys))
    others = {name: cells for name, cells in table.columns.items() if name not in (key, value)}
    if len(metrics) * len(keys) > _MOST:
        message = f"is a list of {len(metrics):,} metrics and {len(keys):,} values"
        raise refusal(table.where, message, "Keep the metrics that you compare")
    columns: dict[str, list[Any]] = {_RUNS.get(name.lower(), name): cells for name, cells in others.items()}
    if clash := [metric for metric in metrics if metric in columns or not metric]:
        message = f"has a metric called {clash[0]!r}, as another column is"
        raise refusal(table.where, message, "Rename it")
    filled: dict[str, list[Any]] = {metric: [None] * len(keys) for metric in metrics}
    for at, (metric, cell) in enumerate(zip(keys, table.columns[value], strict=True)):
        filled[metric][at] = cell
    return LogTable(
        table.where,
        columns | filled,
        table.lines,
        is_text=table.is_text,
        foreign={name: kind for name, kind in table.foreign.items() if name in columns},
        headers=table.headers,
        notes=table.notes,
        constants=table.constants,
    )
