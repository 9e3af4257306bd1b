"""Comparisons of schedules with the reference over replicates of the whole study.

A replicate tunes every schedule again, with its own data split and seeds, and confirms the winners. One
number per schedule and replicate counts: the logarithm of the mean restricted time of its confirm runs. The
difference of two such numbers holds all that varies: seeds, tuning and split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.analysis.intervals import t_quantile, t_two_sided
from lrstudy.analysis.sequential_test import FEWEST_REPLICATES, overall_p
from lrstudy.analysis.speedup import Speedup

Array = NDArray[np.float64]

# The mean variance over all comparisons counts as much as this number of degrees of freedom of a
# comparison's own. Fewer cost power; with more, schedules that vary twice as much as the others (standard
# deviation) have intervals that hold the truth in less than 92%.
_PRIOR: Final = 8.0
# Two differences of independent variables of equal variance that share one: squared correlation.
_SHARED: Final = 0.25


@dataclass(frozen=True)
class Replicates:
    """Logarithms of mean restricted times, shape (schedules, replicates); the reference is the first row.

    NaN where a schedule has no run in a replicate. ``early`` are the same with every hit at the earliest
    time that it may have happened, one evaluation before it was seen.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    logs: Array
    early: Array

    def until(self, number: int) -> Replicates:
        """Return the table of the replicates up to ``number``."""
        kept = [place for place, each in enumerate(self.numbers) if each <= number]
        numbers = tuple(self.numbers[place] for place in kept)
        return replace(self, numbers=numbers, logs=self.logs[:, kept], early=self.early[:, kept])

    def last(self, name: str) -> int:
        """Return the number of the last replicate of a schedule, 0 without one."""
        known = np.isfinite(self.logs[self.names.index(name)])
        return max((number for number, one in zip(self.numbers, known, strict=True) if one), default=0)


@dataclass(frozen=True, slots=True)
class Difference:
    """The reference's mean log time less a schedule's, over the replicates that have both.

    ``error`` is its standard error with its ``degrees`` of freedom, both None with one replicate.
    """

    effect: float
    error: float | None
    degrees: float | None
    replicates: int

    @property
    def p_value(self) -> float | None:
        """Two-sided, of no difference."""
        if self.error is None or self.degrees is None:
            return None
        return 1.0 if self.error == 0 else t_two_sided(self.effect / self.error, self.degrees)

    def p_beyond(self, margin: float) -> float | None:
        """Return twice the larger p of two one-sided tests of a difference of at least ±``margin``.

        At most 0.05 where the 95% interval is inside the margin.
        """
        inside = margin - abs(self.effect)
        if self.error is None or self.degrees is None or inside <= 0:
            return None if self.error is None else 1.0
        return 0.0 if self.error == 0 else t_two_sided(inside / self.error, self.degrees)


def difference(table: Replicates, name: str) -> Difference | None:
    """Compare a schedule with the reference; None without a replicate of both.

    The variance of the differences is moderated: between their own (R - 1 degrees of freedom) and the mean
    over the comparisons that have the same replicates, which counts as 8 more. It is at least that of times
    which are known to one evaluation only.
    """
    differences = table.logs[:1] - table.logs[1:]
    own = table.names.index(name) - 1
    paired = np.isfinite(differences[own])
    count = int(paired.sum())
    if not count:
        return None
    effect = float(differences[own, paired].mean())
    if count < FEWEST_REPLICATES:
        return Difference(effect, None, None, count)
    alike = differences[:, paired]
    alike = alike[np.isfinite(alike).all(axis=1)]
    weight = _PRIOR / (_PRIOR + count - 1)
    mean = float(alike.var(axis=1, ddof=1).mean())
    variance = (1 - weight) * float(differences[own, paired].var(ddof=1)) + weight * mean
    variance = max(variance, _rounding(table, own + 1, paired))
    return Difference(effect, math.sqrt(variance / count), degrees_of_freedom(count, len(alike)), count)


def degrees_of_freedom(replicates: int, comparisons: int) -> float:
    """Return the degrees of freedom of a moderated variance, w·mean + (1 - w)·own.

    With S comparisons of equal variance that share the reference they are
    (R - 1) / ((1 - w)²(1 - c) + c), c = 1/S + (1 - 1/S)/4.
    """
    own = (replicates - 1) / (_PRIOR + replicates - 1)
    common = 1 / comparisons + _SHARED * (1 - 1 / comparisons)
    return (replicates - 1) / (own**2 * (1 - common) + common)


def _rounding(table: Replicates, row: int, paired: NDArray[np.bool_]) -> float:
    """Return the variance of a difference of times that are spread evenly over one evaluation."""
    widths = (table.logs - table.early)[[0, row]][:, paired]
    return float((widths**2).sum(axis=0).mean()) / 12


def replicated_speedup(
    table: Replicates,
    name: str,
    looks: Sequence[int],
    confidence: float,
    *,
    hit: bool,
    margin: float | None = None,
) -> Speedup:
    """The speedup of a schedule over replicates, with the p-value that allows for the study's looks.

    The interval is Student's, at the plain level also after several looks: over all comparisons that end it
    holds the truth in 93 to 97% (tests/bench/calibration.md).

    Hits are seen up to one evaluation late. The delay varies from replicate to replicate and is part of their
    spread; what both schedules share of it shifts the ratio, so the interval reaches to the ratio with all
    hits one evaluation earlier. Where replicates vary by less than their times are known, the interval is
    never narrower than one evaluation, as that over seeds.

    Args:
        looks: numbers of replicates at which the study is looked at; at most one is a fixed size.
        hit: whether any run of either schedule reached the target.
        margin: of equivalence, as a fraction; None for no test of it.
    """
    found = difference(table, name)
    if found is None:
        return Speedup(None, None, None, None, 0, "No replicate has runs of both schedules.")
    ratio = math.exp(found.effect)
    if found.error is None or found.degrees is None:
        return Speedup(ratio, None, None, None, found.replicates, "One replicate gives no interval.")
    p_value = looked_p(table, name, looks)
    if not hit:
        note = "No run of either schedule reached the target: the speedup is unknown."
        return Speedup(ratio, None, None, p_value, found.replicates, note)
    half = t_quantile(0.5 + confidence / 2, found.degrees) * found.error
    low, high = found.effect - half, found.effect + half
    row = table.names.index(name)
    logs, early = table.logs[[0, row]], table.early[[0, row]]
    both: NDArray[np.bool_] = np.asarray(np.isfinite(logs).all(axis=0))
    note, limits = "", [float((early[0] - early[1])[both].mean())]
    if float((logs[0] - logs[1])[both].var(ddof=1)) <= _rounding(table, row, both):
        limits = [float((early[0] - logs[1])[both].mean()), float((logs[0] - early[1])[both].mean())]
    if min(limits) < low or max(limits) > high:
        note = "Interval widened to the time between two evaluations: the replicates vary by less."
    low, high = math.exp(min(low, *limits)), math.exp(max(high, *limits))
    equal = None if margin is None else equivalence_p(table, name, looks, margin)
    return Speedup(ratio, low, high, p_value, found.replicates, note, equivalence_p=equal)


def looked_p(table: Replicates, name: str, looks: Sequence[int]) -> float | None:
    """Return the p-value of no difference in a comparison, over the looks that it has reached.

    Each look counts the replicates up to its own, so what was seen at a look does not change at later ones.
    """
    return _over_looks(table, name, looks, lambda found: found.p_value)


def equivalence_p(table: Replicates, name: str, looks: Sequence[int], margin: float) -> float | None:
    """Return the p-value of a difference beyond the margin, a fraction, over the looks reached.

    Each look could find an interval inside the margin by chance: without this price four looks called 7% of
    the schedules equivalent that differ by exactly the margin (tests/bench/calibration.md).
    """
    limit = -math.log1p(-margin)
    return _over_looks(table, name, looks, lambda found: found.p_beyond(limit))


def _over_looks(
    table: Replicates, name: str, looks: Sequence[int], p_of: Callable[[Difference], float | None]
) -> float | None:
    if len(looks) < 2:
        found = difference(table, name)
        return None if found is None else p_of(found)
    reached = [look for look in looks if look <= table.last(name)]
    seen = [difference(table.until(look), name) for look in reached]
    return overall_p([None if one is None else p_of(one) for one in seen], tuple(looks))
