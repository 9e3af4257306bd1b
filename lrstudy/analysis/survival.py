"""Time to target with runs that never got there: Kaplan-Meier, restricted mean and median."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrstudy.analysis.intervals import Interval, normal_quantile, t_quantile

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """The share of runs that have not hit yet, as a right-continuous step function.

    All of shape (k,): ``times`` starts at 0 and goes through every distinct time at which a run hit or
    was censored; ``survival`` is S(t) from that time on; ``low`` and ``high`` its pointwise limits.
    """

    times: Array
    survival: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class _Counts:
    times: Array
    hits: Array  # d_j, runs that hit at times[j]
    at_risk: Array  # n_j, runs neither hit nor censored before times[j]


def _counts(times: ArrayLike, observed: ArrayLike) -> _Counts:
    t, hit = np.asarray(times, dtype=float).ravel(), np.asarray(observed, dtype=bool).ravel()
    if t.shape != hit.shape:
        raise ValueError(f"{t.size} times but {hit.size} flags")
    if not np.isfinite(t).all() or (t < 0).any():
        raise ValueError("times must be finite and not negative")
    distinct, index = np.unique(t, return_inverse=True)
    d = np.bincount(index, weights=hit, minlength=distinct.size)
    leaving: Array = np.bincount(index, minlength=distinct.size).astype(np.float64)
    # A run censored at t counts as at risk at t: it was seen not to have hit before.
    return _Counts(distinct, d.astype(np.float64), t.size - (np.cumsum(leaving) - leaving))


def kaplan_meier(times: ArrayLike, observed: ArrayLike, confidence: float = 0.95) -> KaplanMeier:
    """The Kaplan-Meier estimate of the share that has not hit, with log(-log) limits.

    S(t) = prod_{t_j <= t} (1 - d_j / n_j) (Kaplan and Meier 1958); variance by Greenwood, limits on the
    scale log(-log S) (Kalbfleisch and Prentice 2002, section 1.4), which stay inside [0, 1]. Where S is 0
    or 1 that scale has no limits and both equal S.

    Args:
        times: shape (n,), hit time, or the time at which the run was last seen without a hit.
        observed: shape (n,), whether the run hit.

    Raises:
        ValueError: for a time that is negative or not finite, or shapes that differ.
    """
    c = _counts(times, observed)
    survival = np.asarray(np.cumprod(1 - c.hits / c.at_risk), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(c.hits / (c.at_risk * (c.at_risk - c.hits)))
        spread = normal_quantile(0.5 + confidence / 2) * np.sqrt(greenwood) / np.abs(np.log(survival))
        low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
    inner = (survival > 0) & (survival < 1)
    low, high = np.where(inner, low, survival), np.where(inner, high, survival)
    if not c.times.size or c.times[0] > 0:
        head = np.ones(1)
        return KaplanMeier(
            np.concatenate([[0.0], c.times]),
            np.concatenate([head, survival]),
            np.concatenate([head, low]),
            np.concatenate([head, high]),
        )
    return KaplanMeier(c.times, survival, low, high)


def restricted_mean(
    times: ArrayLike, observed: ArrayLike, horizon: float, confidence: float = 0.95
) -> Interval:
    """Restricted mean time to hit, the area under Kaplan-Meier up to the horizon, with a t-interval.

    RMST = int_0^h S(t) dt; variance sum_{t_j <= h} (int_{t_j}^h S)^2 d_j / (n_j (n_j - d_j)) (Klein and
    Moeschberger 2003, eq. 4.5.2) times n / (n - 1), so that without early censoring it is the t-interval
    of the mean of min(T, h). Beyond a last run that was censored early, S stays where it was. Limits are
    within [0, horizon]. They are None with one run, and when the runs show no spread (all hit at the same
    time, or none hit): no spread in n runs is no proof of none.

    Raises:
        ValueError: as ``kaplan_meier``, or for a horizon that is not positive.
    """
    if not horizon > 0:
        raise ValueError(f"horizon must be positive, got {horizon}")
    t, hit = np.asarray(times, dtype=float).ravel(), np.asarray(observed, dtype=bool).ravel()
    if not t.size:
        return Interval(None, None, None)
    # What happens beyond the horizon does not count: such a run is censored there.
    c = _counts(np.minimum(t, horizon), hit & (t <= horizon))
    survival = np.cumprod(1 - c.hits / c.at_risk)
    edges = np.concatenate([[0.0], c.times, [horizon]])
    pieces = np.diff(edges) * np.concatenate([[1.0], survival])
    mean = math.fsum(pieces)
    rest = np.cumsum(pieces[::-1])[::-1][1:]  # int_{t_j}^h S
    inner = c.at_risk > c.hits  # the last run's hit leaves no area behind it: its term is 0
    terms = np.where(inner, rest**2 * c.hits / (c.at_risk * np.where(inner, c.at_risk - c.hits, 1.0)), 0.0)
    n = t.size
    if n == 1 or not terms.sum() > 0:
        return Interval(mean, None, None)
    half = t_quantile(0.5 + confidence / 2, n - 1) * math.sqrt(float(terms.sum()) * n / (n - 1))
    return Interval(mean, max(0.0, mean - half), min(float(horizon), mean + half))


def median_time(times: ArrayLike, observed: ArrayLike) -> float | None:
    """The first time at which half of the runs have hit by Kaplan-Meier; None when half never do."""
    c = _counts(times, observed)
    # Products of fractions: 0.5 may come out as 0.5000000000000001.
    below = np.flatnonzero(np.cumprod(1 - c.hits / c.at_risk) <= 0.5 + 1e-12)
    return float(c.times[below[0]]) if below.size else None
