"""When runs reach a level of the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrstudy.analysis.columns import Array, Columns, Trial
from lrstudy.metrics import Metric
from lrstudy.records import Status


@dataclass(frozen=True)
class Hits:
    """Runs and one target along one axis; all arrays have one entry per run.

    ``time`` is the hit time, or for a run without a hit the time up to which that is known: the horizon for
    a diverged run (it never hits, whatever it reached before), its own end for one that was cut short.
    ``restricted`` is min(time, horizon), with the horizon for every run without a hit. ``spent`` is what the
    run cost: up to its hit, or all of it.
    """

    hit: NDArray[np.bool_]
    time: Array
    restricted: Array
    spent: Array


def first_hit(columns: Columns, trial: Trial, metric: Metric, target: float) -> int | None:
    """The row of the first epoch that reaches the target, None if none does; NaN never does."""
    if trial.status is Status.DIVERGED:
        return None
    values = columns.value[trial.begin : trial.end]
    # A comparison with NaN is false, which is what is wanted.
    reached = values >= target if metric.higher_is_better else values <= target
    place = int(np.argmax(reached)) if reached.any() else -1
    return trial.begin + place if place >= 0 else None


def hits_of(
    columns: Columns, trials: Sequence[Trial], metric: Metric, target: float, axis: str, horizon: float
) -> Hits:
    """The hits of runs that have at least one epoch, along an axis, up to a horizon in its unit."""
    times = columns.times[axis]
    rows = [first_hit(columns, trial, metric, target) for trial in trials]
    ends = np.array([times[trial.end - 1] if trial.end > trial.begin else horizon for trial in trials])
    at = np.array([end if row is None else times[row] for row, end in zip(rows, ends, strict=True)])
    hit = np.array([row is not None for row in rows], dtype=bool) & (at <= horizon)
    diverged = np.array([trial.status is Status.DIVERGED for trial in trials], dtype=bool)
    return Hits(
        hit=hit,
        time=np.where(diverged, horizon, at),
        restricted=np.where(hit, np.minimum(at, horizon), horizon),
        spent=at,
    )
