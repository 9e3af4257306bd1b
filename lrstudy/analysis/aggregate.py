"""Aggregates over runs and tasks: interquartile mean and probability of improvement."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def interquartile_mean(values: ArrayLike) -> float | None:
    """Mean of the middle half (Agarwal et al. 2021, rliable): a quarter cut from each end, rounded down.

    Args:
        values: any shape; all entries are pooled, as rliable does for a (runs, tasks) matrix. An infinity
            (a miss) is allowed and matters only when it stays in the middle half.

    Returns:
        None for no value; infinite when a miss is in the middle half.

    Raises:
        ValueError: when a value is NaN (it has no place in the order).
    """
    x = np.sort(np.asarray(values, dtype=float).ravel())
    if np.isnan(x).any():
        raise ValueError("interquartile_mean needs values without NaN")
    cut = x.size // 4
    return float(x[cut : x.size - cut].mean()) if x.size else None


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float | None:
    """Probability that a run of X is larger than one of Y, a tie counting half, averaged over tasks.

    Agarwal et al. 2021 (rliable), appendix: P(X > Y) = 1/M sum_m U_m / (N K), U the Mann-Whitney
    statistic of task m.

    Args:
        x, y: shape (runs,) or (runs, tasks); numbers of runs may differ. For times, where smaller is
            better, swap the two.

    Returns:
        In [0, 1]; None when a side has no run.

    Raises:
        ValueError: when a value is NaN, or the tasks differ in number.
    """
    a, b = (np.asarray(v, dtype=float) for v in (x, y))
    a, b = (v[:, None] if v.ndim == 1 else v for v in (a, b))
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"x has {a.shape[1]} tasks, y has {b.shape[1]}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("probability_of_improvement needs values without NaN")
    if not a.size or not b.size:
        return None
    wins = (a[:, None, :] > b[None, :, :]) + 0.5 * (a[:, None, :] == b[None, :, :])
    return float(wins.mean())
