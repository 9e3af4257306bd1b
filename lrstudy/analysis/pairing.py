"""One schedule against the reference, over seeds that both ran."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.speedup import Speedup, paired_speedup
from lrstudy.analysis.timing import Timing
from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.rules.metrics import Metric


def pairs_of(reference: Sequence[Trial], schedule: Sequence[Trial]) -> tuple[list[Trial], list[Trial]]:
    """The runs of both that share a seed, in the same order."""
    by_seed = {trial.seed: trial for trial in schedule}
    shared = [trial for trial in reference if trial.seed in by_seed]
    return shared, [by_seed[trial.seed] for trial in shared]


def speedup_of(
    columns: Columns,
    reference: Sequence[Trial],
    schedule: Sequence[Trial],
    metric: Metric,
    target: float,
    *,
    axis: str,
    horizon: float,
    resolution: float,
    seed: int,
    confidence: float,
) -> Speedup:
    """The ratio of restricted means along an axis, reference over schedule, paired by seed."""
    ours, theirs = pairs_of(reference, schedule)
    if not ours:
        return Speedup(None, None, None, None, 0, "No seed was run by both schedules.")
    base, other = (hits_of(columns, trials, metric, target, axis, horizon) for trials in (ours, theirs))
    return paired_speedup(
        base.restricted,
        other.restricted,
        horizon=horizon,
        resolution=resolution,
        reference_hits=base.hit,
        schedule_hits=other.hit,
        seed=seed,
        confidence=confidence,
    )


def restricted_over(
    columns: Columns, trials: Sequence[Trial], metric: Metric, levels: Sequence[float], timing: Timing
) -> Array:
    """Return restricted hit times in the verdicts' clock, shape (runs, levels)."""
    found = [
        hits_of(columns, trials, metric, level, timing.clock, timing.horizon).restricted for level in levels
    ]
    return np.stack(found, axis=1) if found else np.empty((len(trials), 0))
