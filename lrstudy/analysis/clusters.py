"""Runs in replicates: those of one share a tuning and a split, so replicates are the independent units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrstudy.analysis.intervals import Interval, normal_quantile, t_quantile, wilson
from lrstudy.analysis.survival import KaplanMeier

Array = NDArray[np.float64]


def several(replicates: Sequence[int]) -> bool:
    """Return True if runs of these replicates are of more than one."""
    return len(set(replicates)) > 1


def unit_means(values: ArrayLike, replicates: Sequence[int]) -> Array:
    """Return the independent values: means of the replicates where there are several, else the runs' own.

    Args:
        values: shape (runs, …); NaN is no value. A replicate without one is NaN.
        replicates: the replicate of each run.
    """
    table = np.asarray(values, dtype=float)
    if not several(replicates):
        return table
    number = np.asarray(replicates)
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        rows = [
            np.where(known[at], table[at], 0.0).sum(axis=0) / known[at].sum(axis=0)
            for at in (number == each for each in np.unique(number))
        ]
    means: Array = np.stack(rows)
    return means


def unit_sums(values: ArrayLike, replicates: Sequence[int]) -> Array:
    """Return the sums over the runs of each replicate where there are several, else the runs' values."""
    table = np.asarray(values, dtype=float)
    if not several(replicates):
        return table
    _, place = np.unique(np.asarray(replicates), return_inverse=True)
    sums: Array = np.bincount(place, weights=table).astype(np.float64)
    return sums


def hit_rate(hits: NDArray[np.bool_], replicates: Sequence[int], confidence: float) -> Interval:
    """Return the share of runs that hit with Wilson's interval, wider where replicates differ.

    The number of runs is divided by the design effect (``_design_effects``), and Student's quantile takes
    the place of the normal one.
    """
    if not several(replicates):
        return wilson(int(hits.sum()), hits.size, confidence)
    effect = float(_design_effects(hits[:, None].astype(float), replicates)[0])
    return wilson(float(hits.sum()) / effect, hits.size / effect, _level(replicates, confidence))


def over_replicates(
    found: KaplanMeier, times: Array, hits: NDArray[np.bool_], replicates: Sequence[int], confidence: float
) -> KaplanMeier:
    """Return Kaplan-Meier limits of runs in replicates: wider as those of ``hit_rate`` at each time.

    Args:
        found: the estimate as of independent runs.
        times, hits: of the runs, shape (runs,).
    """
    if not several(replicates):
        return found
    reached = (times[:, None] <= found.times) & hits[:, None]
    scale = normal_quantile(0.5 + _level(replicates, confidence) / 2) / normal_quantile(0.5 + confidence / 2)
    wider = scale * np.sqrt(_design_effects(reached.astype(float), replicates))
    with np.errstate(divide="ignore", invalid="ignore"):
        # The limits are S^exp(±spread): the logarithm of that exponent grows.
        exponents = [np.log(limit) / np.log(found.survival) for limit in (found.low, found.high)]
        low, high = (found.survival**exponent**wider for exponent in exponents)
    inner = (found.survival > 0) & (found.survival < 1)
    low, high = np.where(inner, low, found.low), np.where(inner, high, found.high)
    return KaplanMeier(found.times, found.survival, low, high)


def _design_effects(reached: Array, replicates: Sequence[int]) -> Array:
    """Return the factors by which clustering enlarges the variance of shares, at least 1; shape (k,).

    ``reached`` has shape (runs, k), 1 where a run has hit: the variance of the replicates' shares over that
    of as many independent runs.
    """
    share = reached.mean(axis=0)
    means = unit_means(reached, replicates)
    size = len(reached) / len(means)
    independent = share * (1 - share) / size
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = means.var(axis=0, ddof=1) / independent
    factors: Array = np.where(independent > 0, np.maximum(1.0, effects), 1.0)
    return factors


def _level(replicates: Sequence[int], confidence: float) -> float:
    """Return the confidence at which a normal quantile equals Student's over the replicates."""
    quantile = t_quantile(0.5 + confidence / 2, len(set(replicates)) - 1)
    return 1 - math.erfc(quantile / math.sqrt(2))
