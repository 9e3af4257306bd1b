"""W&B's chart export: a column ``run - metric`` for each curve, beside its ``__MIN`` and ``__MAX``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lrstudy.store.log_formats.table import LogTable, refusal

_BETWEEN: Final = " - "
_BOUNDS: Final = ("__MIN", "__MAX")


def is_chart(names: Sequence[str]) -> bool:
    """Return True if the columns are those of a chart: its axis, then runs' metrics."""
    curves = [name for name in names[1:] if not name.endswith(_BOUNDS)]
    return bool(curves) and all(_BETWEEN in name for name in curves)


def read_chart(table: LogTable) -> LogTable:
    """Return the runs' rows one below the other; ``run.name`` tells them apart.

    A run has no value at the steps of the others: those rows are left out.
    """
    axis, *others = table.names
    curves: dict[str, dict[str, str]] = {}
    for name in others:
        if not name.endswith(_BOUNDS):
            run, _, metric = name.rpartition(_BETWEEN)
            curves.setdefault(run, {})[metric] = name
    metrics = list(dict.fromkeys(metric for columns in curves.values() for metric in columns))
    rows: dict[str, list[Any]] = {"run.name": [], axis: [], **{metric: [] for metric in metrics}}
    if len(rows) < len(metrics) + 2:
        raise refusal(table.where, "is W&B's chart export with a metric named like its axis", "Rename it")
    lines: list[int | None] = []
    for run, columns in curves.items():
        cells = [table.columns[name] for name in columns.values()]
        for at, values in enumerate(zip(*cells, strict=True)):
            if any(value is not None for value in values):
                row = dict(zip(columns, values, strict=True))
                rows["run.name"].append(run)
                rows[axis].append(table.columns[axis][at])
                lines.append(table.lines[at])
                for metric in metrics:
                    rows[metric].append(row.get(metric))
    if not lines:
        raise refusal(table.where, "is W&B's chart export without a value", "Export a chart of a metric")
    notes = list(table.notes)
    if axis.lower() == "step":
        notes.append(f"{table.where}: Step of W&B's chart counts its log calls: taken for steps")
    return LogTable(table.where, rows, lines, is_text=table.is_text, notes=notes)
