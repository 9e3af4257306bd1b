"""From an interval to a verdict, and what an undecided comparison would need."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lrstudy.analysis.families import ALPHA, PRIMARY_LEVEL
from lrstudy.analysis.intervals import t_quantile
from lrstudy.analysis.speedup import Speedup, paired_variation

POWER: Final = 0.8
MAX_SEEDS: Final = 10_000


def decide(
    speedup: Speedup,
    p_adjusted: float | None,
    *,
    hits: int,
    reference_hits: int,
    runs: int,
    margin: float,
    p_equivalent: float | None = None,
) -> str:
    """Return the verdict on a schedule against the reference, by the first rule that applies.

    1. ``never``: no run of the schedule hit.
    2. ``inconclusive``: there is no interval.
    3. ``equivalent``: the whole interval is in [1 - margin, 1 / (1 - margin)] (the same limits if
       the other is called the reference), the adjusted p of a difference beyond the margin is at most 0.05
       where there is one (over replicates), and both hit in at least half of the ``runs``. It comes before
       faster and slower: a difference known to be inside the margin is one that was declared not to
       matter. Where most runs miss, both restricted means sit at the horizon and their ratio near 1
       says nothing, therefore the second condition.
    4. ``faster`` / ``slower``: the interval is above / below 1 and the Holm-adjusted p is at most 0.05.
    5. ``inconclusive``.

    Raises:
        ValueError: unless ``0 <= margin < 1``.
    """
    if not 0 <= margin < 1:
        raise ValueError(f"margin must be in [0, 1), got {margin}")
    if hits == 0:
        return "never"
    if speedup.ratio is None or speedup.low is None or speedup.high is None:
        return "inconclusive"
    mostly_hit = 2 * min(hits, reference_hits) >= runs
    inside = speedup.low >= 1 - margin and speedup.high <= 1 / (1 - margin)
    if mostly_hit and inside and (p_equivalent is None or p_equivalent <= ALPHA):
        return "equivalent"
    if p_adjusted is not None and p_adjusted <= ALPHA:
        if speedup.low > 1:
            return "faster"
        if speedup.high < 1:
            return "slower"
    return "inconclusive"


def fewest_seeds(comparisons: int = 1, level: float = PRIMARY_LEVEL) -> int:
    """Return the fewest pairs with which a sign-flip test reaches ``level`` after Holm over ``comparisons``.

    Its smallest p is 2 / 2^n, and Holm multiplies the smallest of k by k.

    >>> fewest_seeds(1), fewest_seeds(4)
    (6, 8)
    """
    return 1 + math.ceil(math.log2(max(1, comparisons) / level))


def seeds_to_decide(
    reference: ArrayLike,
    schedule: ArrayLike,
    margin: float,
    *,
    comparisons: int = 1,
    level: float = PRIMARY_LEVEL,
) -> int | None:
    """Return the seeds in all that would decide with 80% power, if ratio and spread stay as they are now.

    Decided means that an interval (at 1 - level / comparisons, Bonferroni in place of Holm) either excludes 1
    or is inside the margin: the smallest n with (t_{n-1, 1 - alpha/2} + t_{n-1, 0.8}) cv / sqrt(n) at most
    the distance of the log ratio to 1 or, inside the margin, to its nearer limit; and at least
    ``fewest_seeds`` for the former. It holds for the two configurations, not for another tuning of them.

    Args:
        reference, schedule: shape (n,), restricted times paired by seed.
        margin: of equivalence.
        comparisons: schedules compared with the reference.
        level: of their family of tests.

    Returns:
        None when it cannot be told (fewer than 2 pairs, no spread) or would take more than 10,000.
    """
    r, s = np.asarray(reference, dtype=float), np.asarray(schedule, dtype=float)
    cv = paired_variation(r, s)
    if not cv:
        return None
    effect = abs(math.log(r.mean() / s.mean()))
    inside = -math.log1p(-margin) - effect if margin > 0 else 0.0
    tail = level / (2 * max(1, comparisons))
    needed = [
        max(_seeds_for(effect, cv, tail), fewest_seeds(comparisons, level)),
        _seeds_for(inside, cv, tail),
    ]
    fewest = min(needed)
    return fewest if fewest <= MAX_SEEDS else None


def _seeds_for(distance: float, cv: float, tail: float) -> int:
    """Return the smallest n whose limits clear ``distance`` with 80% power; over MAX_SEEDS if none does."""
    if distance <= 0:
        return MAX_SEEDS + 1

    def clears(n: int) -> bool:
        width = t_quantile(1 - tail, n - 1) + t_quantile(POWER, n - 1)
        return width * cv / math.sqrt(n) <= distance

    low, high = 2, MAX_SEEDS + 1  # the width shrinks with n: bisect
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if clears(middle) else (middle + 1, high)
    return low


def detectable_speedup(n: int, cv: float, comparisons: int = 1, level: float = PRIMARY_LEVEL) -> float:
    """Return the smallest true speedup that n paired seeds show at level / comparisons with 80% power.

    exp((t_{n-1, 1 - alpha/2} + t_{n-1, 0.8}) cv / sqrt(n)), what ``seeds_to_decide`` asks n seeds for; its
    inverse is the detectable slowdown. Infinite for fewer than ``fewest_seeds``.

    Args:
        n: paired seeds.
        cv: ``paired_variation`` of the times, e.g. 0.3.
        comparisons: schedules compared with the reference.
        level: of their family of tests.

    Raises:
        ValueError: for a negative cv.

    >>> round(detectable_speedup(10, 0.3, 4), 2), round(detectable_speedup(20, 0.3, 4), 2)
    (1.48, 1.28)
    """
    if not cv >= 0:
        raise ValueError(f"cv must not be negative, got {cv}")
    if n < fewest_seeds(comparisons, level):
        return math.inf
    tail = level / (2 * max(1, comparisons))
    width = t_quantile(1 - tail, n - 1) + t_quantile(POWER, n - 1)
    exponent = width * cv / math.sqrt(n)
    return math.exp(exponent) if exponent < 700 else math.inf
