"""Targets that the study does not name, and the ladder of levels for speedup against the target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.errors import InputError, Problem
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric

# Place of a derived target between the reference's typical first evaluation and its typical best.
FRACTIONS = (0.9, 0.98)
LADDER = 41

NONE = "There is no target: the reference has no confirm run to derive one from."
GIVEN = "The targets are those of the study file or the command."


def choose_targets(
    columns: Columns, reference: Sequence[Trial], metric: Metric, given: Sequence[float] | None
) -> tuple[tuple[float, ...], str]:
    """Return the targets and the rule they come from.

    Without given ones: the levels 90% and 98% of the way from the median first evaluation to the median best
    one of the reference's confirm runs, in the metric's own unit, to four significant digits.

    Raises:
        InputError: naming every given target outside the metric's range.
    """
    if given:
        _check(given, metric)
        return tuple(dict.fromkeys(given)), GIVEN
    ends = _way(columns, reference, metric)
    if ends is None:
        return (), NONE
    first, best = ends
    levels = [_rounded(first + fraction * (best - first), best, metric) for fraction in FRACTIONS]
    shares = " and ".join(f"{fraction:.0%}" for fraction in FRACTIONS)
    rule = (
        f"The targets are at {shares} of the way from the median first {columns.moment} ({first:.4g}) to the "
        f"median best {columns.moment} ({best:.4g}) of the reference's confirm runs."
    )
    return tuple(dict.fromkeys(levels)), rule


def ladder(columns: Columns, reference: Sequence[Trial], metric: Metric) -> tuple[float, ...]:
    """Return levels from the reference's median first evaluation to its median best one, easiest first."""
    ends = _way(columns, reference, metric)
    if ends is None or ends[0] == ends[1]:
        return ()
    return tuple(float(level) for level in np.linspace(ends[0], ends[1], LADDER))


def _way(columns: Columns, reference: Sequence[Trial], metric: Metric) -> tuple[float, float] | None:
    firsts, bests = [], []
    for trial in reference:
        values = columns.value[trial.begin : trial.end]
        finite = values[np.isfinite(values)]
        if trial.status is Status.DIVERGED or not finite.size:
            continue
        firsts.append(float(finite[0]))
        bests.append(float(finite.max() if metric.higher_is_better else finite.min()))
    if not bests:
        return None
    return float(np.median(firsts)), float(np.median(bests))


def _rounded(level: float, best: float, metric: Metric) -> float:
    """To four significant digits, unless that would make it harder than what the reference reaches."""
    short = float(f"{level:.4g}")
    return short if metric.reaches(best, short) else level


def _check(levels: Sequence[float], metric: Metric) -> None:
    problems = [
        Problem(
            "targets",
            f"values[{index}]",
            f"is outside the range of {metric.name}, {metric.low:g} to {metric.high:g}",
            "Give a level that the metric can take.",
            level,
        )
        for index, level in enumerate(levels)
        if not math.isfinite(level) or not metric.low <= level <= metric.high
    ]
    if problems:
        raise InputError(problems)
