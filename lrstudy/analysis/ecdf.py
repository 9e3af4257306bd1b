"""Share of (run, target) pairs reached by each time: runs and targets pooled, as COCO does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.summary import Ecdf
from lrstudy.analysis.timing import Timing
from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.rules.metrics import Metric

# More times than this are of runs that share none, and a regular grid shows the same.
_MOST_TIMES = 1000


def evaluation_times(columns: Columns, trials: Iterable[Trial], timing: Timing) -> Array:
    """Return the times at which any of the runs was evaluated, up to the horizon; the last one is that.

    A regular grid of about as many times where the runs share hardly any of them.
    """
    blocks = [columns.times[timing.clock][trial.begin : trial.end] for trial in trials]
    seen = np.concatenate([*blocks, [0.0]])
    # If all runs ended early, the rest of the horizon is filled at their resolution.
    rest = np.arange(seen.max() + timing.resolution, timing.horizon, timing.resolution)
    times = np.unique(np.concatenate([seen, rest, [timing.horizon]]))
    times = times[(times > 0) & (times <= timing.horizon)]
    most = max(_MOST_TIMES, *(len(block) for block in blocks), 0)
    return times if len(times) <= most else np.linspace(timing.horizon / most, timing.horizon, most)


def ecdf_of(
    columns: Columns,
    trials: Sequence[Trial],
    metric: Metric,
    levels: Sequence[float],
    timing: Timing,
    times: Array,
) -> Ecdf | None:
    """Return the share of (run, level) pairs reached by each of ``times`` (COCO's runtime ECDF).

    F(t) = |{(run, level): hit time <= t}| / (runs * levels) (Hansen et al. 2021). A pair that is never
    reached counts as not reached, so the curve of a schedule whose runs diverge stays below 1. ``area`` is
    the mean of F up to the last time, each value weighted with the time since the one before.

    Returns:
        None without a run or a level.
    """
    if not trials or not levels:
        return None
    reached = np.zeros(len(times))
    for level in levels:
        found = hits_of(columns, trials, metric, level, timing.clock, timing.horizon)
        np.add.at(reached, np.searchsorted(times, found.time[found.hit]), 1.0)
    share = np.cumsum(reached) / (len(trials) * len(levels))
    return Ecdf(
        times=tuple(float(time) for time in times),
        share=tuple(float(value) for value in share),
        area=float(np.average(share, weights=np.diff(times, prepend=0.0))),
        levels=len(levels),
        runs=len(trials),
    )
