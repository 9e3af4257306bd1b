"""A recorded run in the store's form: its evaluations as columns, its end and its best point."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from lrstudy.records import Status
from lrstudy.rules.clocks import COLUMN_OF, DIFFERENCES
from lrstudy.rules.metrics import Metric
from lrstudy.store.cells import Cells, cells_of, none_of
from lrstudy.store.table_schema import EVALUATIONS_SCHEMA

_LOSSES: Final = ("train_loss", "val_loss")


@dataclass(slots=True)
class RecordedRun:
    """One training: what names its task, schedule and seed, and its evaluations in the store's columns.

    ``diverged`` is the evaluation from which on its losses are not finite. ``rows`` are the evaluations of a
    log with one in each epoch, as they were before they became columns.
    """

    where: str
    task: tuple[str, ...]
    schedule: tuple[str, ...]
    seed: int
    columns: dict[str, Cells]
    diverged: int | None = None
    rows: list[dict[str, Any]] | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        names = [value for value in (*self.task, *self.schedule) if value]
        return " ".join([*names, f"seed {self.seed}"])

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def has(self, column: str) -> bool:
        """Return True if a column has a value."""
        return column in self.columns and bool(self.columns[column].known.any())

    def times(self, clock: str) -> Any:
        """Return the time of each evaluation in a clock; None if one has none, or if time stood still."""
        column = self.columns.get(COLUMN_OF[clock])
        if column is None or not column.known.all():
            return None
        times = np.cumsum(column.floats) if clock in DIFFERENCES else column.floats
        rises = bool(np.isfinite(times).all()) and bool((np.diff(times, prepend=0.0) > 0).all())
        return times if rises else None

    def best(self, metric: Metric) -> tuple[float | None, int | None]:
        """Return the best value of a metric, and the place of its evaluation."""
        column = self.columns.get(metric.column)
        if column is None:
            return None, None
        values = column.floats
        values = 1.0 - values if metric.complement else values
        if np.isnan(values).all():
            return None, None
        at = int(np.nanargmax(values) if metric.higher_is_better else np.nanargmin(values))
        return float(values[at]), at

    def ending(self, metric: Metric) -> dict[str, Any]:
        """Return the part of its row in the table of trials that follows from its evaluations."""
        value, best = self.best(metric)
        last = (self.diverged or len(self)) - 1
        return {
            "status": str(Status.COMPLETED if self.diverged is None else Status.DIVERGED),
            "best_val": value,
            "objective": value if self.diverged is None else None,
            "node": "",
            "device": "",
            "attempt": 1,
            "replicate": 1,
            "evaluations_run": last + 1,
            "epochs_run": self._at("epoch", last),
            "steps_run": self._at("step", last),
            "best_evaluation": None if best is None else best + 1,
            "best_epoch": None if best is None else self._at("epoch", best),
            "best_step": None if best is None else self._at("step", best),
        }

    def _at(self, column: str, place: int) -> Any:
        cells = self.columns.get(column)
        return cells.values[place].item() if cells is not None and cells.known[place] else None

    def table(self, key: Mapping[str, Any], schema: Any) -> Any:
        """Return its rows of the table of evaluations; ``key`` are the columns that all of them share."""
        arrays = []
        for column in schema:
            if column.name in key:
                arrays.append(pa.repeat(pa.scalar(key[column.name], column.type), len(self)))
            elif column.name == "evaluation":
                arrays.append(pa.array(np.arange(1, len(self) + 1), column.type))
            elif column.name in self.columns:
                arrays.append(self.columns[column.name].to_arrow(column.type))
            else:
                arrays.append(pa.nulls(len(self), column.type))
        return pa.Table.from_arrays(arrays, schema=schema)

    def digest(self) -> str:
        """Return a digest of all values."""
        sum_ = hashlib.sha256()
        for name in sorted(self.columns):
            cells = self.columns[name]
            if cells.known.any():
                sum_.update(name.encode() + np.where(cells.known, cells.values, 0).tobytes())
                sum_.update(np.packbits(cells.known).tobytes())
        return sum_.hexdigest()


def from_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Cells]:
    """Return the columns of rows; what no row has is left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: cells_of([row.get(name) for row in rows]) for name in names}
    return {name: cells for name, cells in columns.items() if cells.known.any()} or {
        "epoch": none_of(len(rows))
    }


def drop_false_clocks(columns: dict[str, Cells], clocks: Iterable[str]) -> list[str]:
    """Remove the columns of these clocks in which time does not rise from above 0; return their names."""
    dropped = []
    for clock in clocks:
        name = COLUMN_OF[clock]
        if name not in columns:
            continue
        values = columns[name].floats[columns[name].known]
        times = np.cumsum(values) if clock in DIFFERENCES else values
        if not np.isfinite(times).all() or bool((np.diff(times, prepend=0.0) <= 0).any()):
            del columns[name]
            dropped.append(name)
    return dropped


def diverged_evaluation(columns: Mapping[str, Cells]) -> int | None:
    """Return the evaluation from which on the losses are not finite, None where the last one's are."""
    losses = [cells for name, cells in columns.items() if name in _LOSSES or _is_declared_loss(name)]
    if not losses:
        return None
    bad = np.zeros(len(losses[0]), bool)
    for cells in losses:
        bad |= cells.known & ~np.isfinite(cells.values)
    # An evaluation without a loss ends no run: the losses before it tell.
    if not bad.size or not bad[-1]:
        return None
    good = np.flatnonzero(~bad)
    return int(good[-1]) + 2 if good.size else 1


def _is_declared_loss(name: str) -> bool:
    return name not in EVALUATIONS_SCHEMA.names and "loss" in name.lower()
