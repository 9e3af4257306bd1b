"""Intervals for a proportion and a mean, and Holm's adjustment of p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence limits; None where the data give none."""

    value: float | None
    low: float | None
    high: float | None


def normal_quantile(probability: float) -> float:
    """The standard normal quantile."""
    return float(special.ndtri(probability))


def t_quantile(probability: float, degrees: float) -> float:
    """Student's t quantile (``scipy.special``: a hundred times cheaper than ``stats.t.ppf``, same values)."""
    return float(special.stdtrit(degrees, probability))


def t_two_sided(statistic: float, degrees: float) -> float:
    """The two-sided p-value of a Student's t statistic.

    >>> round(t_two_sided(2.262, 9), 3)
    0.05
    """
    return float(2 * special.stdtr(degrees, -abs(statistic)))


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval for a proportion (Wilson 1927, eq. for p1, p2).

    Unlike the Wald interval it is never empty at 0 or n successes. No trials: every field is None.

    Raises:
        ValueError: unless ``0 <= successes <= n``.

    >>> wilson(10, 10).high
    1.0
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n, got {successes} of {n}")
    if n == 0:
        return Interval(None, None, None)
    z2 = normal_quantile(0.5 + confidence / 2) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At the ends the limit is the proportion itself; rounding would put it 1e-17 beside it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(p, low, high)


def mean_interval(
    values: ArrayLike, confidence: float = 0.95, support: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """Mean of ``values`` (shape (n,)) with Student's t-interval, cut at the ends of their ``support``.

    No value beyond the support exists, so the cut takes nothing from the coverage. One value has no limits,
    none has no mean. A NaN or an infinity among the values makes the mean meaningless: the caller decides
    what a missing value counts as, so it is refused.

    Raises:
        ValueError: when a value is not finite.

    >>> mean_interval([0.9, 1.0], support=(0.0, 1.0)).high
    1.0
    """
    x = np.asarray(values, dtype=float).ravel()
    if not np.isfinite(x).all():
        raise ValueError("mean_interval needs finite values")
    if x.size == 0:
        return Interval(None, None, None)
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, None, None)
    half = t_quantile(0.5 + confidence / 2, x.size - 1) * float(x.std(ddof=1)) / math.sqrt(x.size)
    low, high = support
    return Interval(mean, max(low, mean - half), min(high, mean + half))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given.

    An adjusted value at most alpha is rejected with family-wise error at most alpha, under any
    dependence. None stays None and does not count as a comparison.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[i] = running
    return adjusted
