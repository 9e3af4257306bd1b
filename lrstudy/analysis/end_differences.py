"""The difference of two schedules' values at the end: its estimate, its test, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lrstudy.analysis.families import ALPHA
from lrstudy.analysis.intervals import Interval, mean_interval, t_two_sided
from lrstudy.analysis.resampling import TIE, sign_flip_p
from lrstudy.analysis.trial_table import Array
from lrstudy.rules.metrics import Metric


@dataclass(frozen=True, slots=True)
class EndDifference:
    """A schedule's values at the end against the reference's, paired by unit.

    ``difference`` is the mean of the schedule's values minus the reference's, over the units in which both
    have one; ``advantage`` is positive where the test speaks for the schedule; ``p_value`` is of a paired
    test, uncorrected, None with fewer than two pairs; ``error`` is the standard error of the difference.
    """

    difference: Interval
    advantage: float
    p_value: float | None
    pairs: int
    error: float | None = None

    def p_beyond(self, margin: float) -> float | None:
        """Return twice the larger p of two one-sided tests of a difference of at least ±``margin``.

        It is for units that all have a value. At most 0.05 where the 95% interval is inside the margin.
        """
        if self.error is None or self.difference.value is None:
            return None
        inside = margin - abs(self.difference.value)
        if inside <= 0:
            return 1.0
        return 0.0 if self.error == 0 else t_two_sided(inside / self.error, self.pairs - 1)


def end_difference(
    reference: Sequence[Array],
    schedule: Sequence[Array],
    metric: Metric,
    *,
    seed: int,
    confidence: float = 0.95,
) -> EndDifference:
    """Compare values at the end by a paired t-test over units: seeds, or replicates of the tuning.

    A run that diverged has no value, but it is no gap in the data: it is worse than every run that has one.
    Where there are such runs, the test is on the units' mean ranks among all runs of both (the diverged
    share the last rank), a t-test too; the difference and its interval are then over the runs that have a
    value. Where all differences are the same, the t-test has nothing to go by and sign flips replace it.

    Args:
        reference, schedule: for each unit, in the same order, the values of its runs, shape (runs,); one
            that is not finite is a run that diverged.
        seed: of the sign flips, above 12 pairs.

    Raises:
        ValueError: if the two have another number of units, or a unit has no run.
    """
    if len(reference) != len(schedule) or not all(len(unit) for unit in [*reference, *schedule]):
        raise ValueError("reference and schedule must have runs in the same units")
    ours, theirs = unit_means(schedule), unit_means(reference)
    both = np.isfinite(ours) & np.isfinite(theirs)
    widest = metric.high - metric.low
    known = (ours - theirs)[both]
    difference = mean_interval(known, confidence, (-widest, widest))
    error = float(known.std(ddof=1)) / math.sqrt(known.size) if known.size > 1 else None
    if all(np.isfinite(unit).all() for unit in [*reference, *schedule]):
        moves = ours - theirs if metric.higher_is_better else theirs - ours
    else:
        moves = _rank_differences(reference, schedule, metric)
    advantage = float(moves.mean()) if moves.size else 0.0
    return EndDifference(difference, advantage, _paired_p(moves, seed), len(moves), error)


def unit_means(units: Sequence[Array]) -> Array:
    """Return the mean finite value of each unit, NaN where it has none."""
    finite = [unit[np.isfinite(unit)] for unit in units]
    return np.array([values.mean() if values.size else math.nan for values in finite])


def _rank_differences(reference: Sequence[Array], schedule: Sequence[Array], metric: Metric) -> Array:
    """Return for each unit the mean rank of the schedule's runs minus that of the reference's."""
    units = [*reference, *schedule]
    values = np.concatenate(units)
    merit = values if metric.higher_is_better else -values
    ranks = stats.rankdata(np.where(np.isfinite(values), merit, -math.inf))
    ends = np.cumsum([len(unit) for unit in units])[:-1]
    means = np.array([part.mean() for part in np.split(ranks, ends)])
    differences: Array = means[len(reference) :] - means[: len(reference)]
    return differences


def _paired_p(differences: Array, seed: int) -> float | None:
    if differences.size < 2:
        return None
    spread = float(differences.std(ddof=1))
    if spread <= TIE * float(np.abs(differences).max()):
        return sign_flip_p(differences, seed)
    error = spread / math.sqrt(differences.size)
    return t_two_sided(float(differences.mean()) / error, differences.size - 1)


def decide_end(
    compared: EndDifference,
    p_adjusted: float | None,
    metric: Metric,
    margin: float | None,
    *,
    lost: bool,
    p_equivalent: float | None = None,
) -> str:
    """Return the verdict on a schedule's value at the end, by the first rule that applies.

    1. ``equivalent``: the whole interval is within ``margin``, the adjusted p of a difference beyond it is at
       most 0.05 where there is one, and no run diverged (``lost``).
    2. ``better`` / ``worse``: the adjusted p is at most 0.05, and the interval of the values does not speak
       for the opposite, as it can if the runs that diverged decided the test.
    3. ``inconclusive``.
    """
    low = -math.inf if compared.difference.low is None else compared.difference.low
    high = math.inf if compared.difference.high is None else compared.difference.high
    if not metric.higher_is_better:
        low, high = -high, -low
    surely = p_equivalent is None or p_equivalent <= ALPHA
    if margin is not None and not lost and surely and -margin <= low and high <= margin:
        return "equivalent"
    if p_adjusted is None or p_adjusted > ALPHA:
        return "inconclusive"
    if compared.advantage > 0 and high >= 0:
        return "better"
    if compared.advantage < 0 and low <= 0:
        return "worse"
    return "inconclusive"
