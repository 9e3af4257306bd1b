"""Times at which runs reach a level of the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric


@dataclass(frozen=True)
class Hits:
    """Runs and one target along one axis; all arrays have one entry per run.

    ``time`` is the time of arrival, or for a run without a hit the time up to which that is known: the
    horizon for a diverged run (it never hits, even if it did before), its own end for one that was cut short.
    ``restricted`` is min(time, horizon), with the horizon for every run without a hit. ``spent`` is what the
    run cost: up to its hit, or all of it up to the horizon.
    """

    hit: NDArray[np.bool_]
    time: Array
    restricted: Array
    spent: Array


def first_hit(columns: Columns, trial: Trial, metric: Metric, target: float) -> int | None:
    """Return the row of the evaluation at which a trial arrived at the target, None if it did not."""
    row = int(columns.first_reaching(target, higher_is_better=metric.higher_is_better)[trial.place])
    return row if row >= 0 else None


def hits_of(
    columns: Columns, trials: Sequence[Trial], metric: Metric, target: float, axis: str, horizon: float
) -> Hits:
    """Return the hits of runs along an axis, up to a horizon in its unit.

    All evaluations of a row must be within the horizon, so that a run known beyond it has no advantage over
    one that ends there. A run that diverged before its first evaluation has no row: it spent the epochs and
    steps that its trial says, and nothing along the other axes.
    """
    times = columns.times[axis]
    places = np.fromiter((trial.place for trial in trials), np.int64, len(trials))
    end = np.fromiter((trial.end for trial in trials), np.int64, len(trials))
    empty = np.fromiter((trial.end == trial.begin for trial in trials), bool, len(trials))
    diverged = np.fromiter((trial.status is Status.DIVERGED for trial in trials), bool, len(trials))
    first = columns.first_reaching(target, higher_is_better=metric.higher_is_better)[places]
    row = np.where(first >= 0, first, end - 1)
    at = np.zeros(len(trials))
    at[~empty] = times[row[~empty]]
    at[empty] = [trial.ran(axis) for trial in trials if trial.end == trial.begin]
    hit = first >= 0
    held = at.copy()
    held[hit] = times[first[hit] + columns.stay - 1]
    late = hit & (held > horizon)
    at[late] = held[late]
    hit &= ~late
    return Hits(
        hit=hit,
        time=np.where(diverged, horizon, at),
        restricted=np.where(hit, at, horizon),
        spent=np.minimum(at, horizon),
    )
