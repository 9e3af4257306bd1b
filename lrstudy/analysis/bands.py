"""Speedup against target level with a band that holds at all levels at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrstudy.analysis.resampling import TIE, bootstrap_weights, expansion

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """Speedup at L target levels and its simultaneous limits, each of shape (L,); NaN where unknown."""

    ratio: Array
    low: Array
    high: Array


def earliest(times: Array, hits: NDArray[np.bool_], resolution: float) -> Array:
    """The times, any shape, with every hit as early as it can have been: one evaluation before it was seen.

    A hit seen at the first evaluation counts half of that time, not 0, so that ratios stay finite.
    """
    early: Array = np.maximum(times - resolution, np.minimum(times, resolution / 2))
    return np.where(hits, early, times)


def levels_band(
    reference: ArrayLike,
    schedule: ArrayLike,
    horizon: float,
    resolution: float,
    seed: int,
    *,
    confidence: float = 0.95,
) -> Band:
    """Return the ratio of restricted means at every level with a bootstrap sup-t band over the levels.

    theta_l = log(mean r_l / mean s_l); the band is theta_l +- c se_l, where c is the confidence quantile of
    max_l |theta*_l - theta_l| / se_l over resamples of the paired seeds (Montiel Olea and Plagborg-Moller
    2019), widened for few seeds as ``resampling.expansion`` says, and never narrower than one resolution.

    Args:
        reference, schedule: shape (n, L), restricted times min(T, horizon), rows paired by seed. A time at
            the horizon counts as a miss where the resolution is concerned.
        horizon, resolution: in the unit of the times.
        seed: of the bootstrap.

    Returns:
        NaN limits with one pair, and at levels that no run of either reached; all NaN without a pair.

    Raises:
        ValueError: for shapes that differ, or times outside (0, horizon].
    """
    r, s = np.asarray(reference, dtype=float), np.asarray(schedule, dtype=float)
    if r.ndim != 2 or r.shape != s.shape:
        raise ValueError(f"reference {r.shape} and schedule {s.shape} must both have shape (n, L)")
    both = np.concatenate([r, s])
    if not np.isfinite(both).all() or (both <= 0).any() or (both > horizon * (1 + 1e-9)).any():
        raise ValueError("restricted times must be in (0, horizon]")
    n, levels = r.shape
    unknown = np.full(levels, np.nan)
    if n == 0 or levels == 0:
        return Band(unknown, unknown, unknown)
    mean_r, mean_s = r.mean(axis=0), s.mean(axis=0)
    ratio = mean_r / mean_s
    if n == 1:
        return Band(ratio, unknown, unknown)
    error = (r / mean_r - s / mean_s).std(axis=0, ddof=1) / np.sqrt(n)
    weights = bootstrap_weights(n, seed)
    half = half_width(np.log((weights @ r) / (weights @ s)) - np.log(ratio), error, n, confidence)
    # The same floor as in paired_speedup: a hit is known to one evaluation.
    floor_low = earliest(r, r < horizon, resolution).mean(axis=0) / mean_s
    floor_high = mean_r / earliest(s, s < horizon, resolution).mean(axis=0)
    low, high = np.minimum(ratio * np.exp(-half), floor_low), np.maximum(ratio * np.exp(half), floor_high)
    nobody = (both >= horizon).all(axis=0)
    return Band(ratio, np.where(nobody, np.nan, low), np.where(nobody, np.nan, high))


def half_width(moves: Array, error: Array, n: int, confidence: float) -> Array:
    """Return the half width of a sup-t band from bootstrap ``moves``, shape (resamples, L)."""
    varies = error > TIE
    sup = (np.abs(moves[:, varies]) / error[varies]).max(axis=1, initial=0.0)
    half: Array = float(np.quantile(sup, confidence)) * expansion(n, confidence) * error
    return half
