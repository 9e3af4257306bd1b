"""Seeded resampling of paired runs: bootstrap weights, expanded levels and sign flips."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lrstudy.analysis.intervals import normal_quantile, t_quantile

# Limits repeat to 0.4% (standard deviation over seeds, 10 pairs): one of 4,000 resamples may be off by 2.7%.
RESAMPLES = 20_000
EXACT_PAIRS = 12  # up to here all 2^n sign patterns are enumerated
FLIPS = 9999
# Differences of whole epochs tie; their means differ by rounding only, and a tie must count as one.
TIE = 1e-12

Array = NDArray[np.float64]


@lru_cache(maxsize=8)
def bootstrap_weights(n: int, seed: int, resamples: int = RESAMPLES) -> Array:
    """Return weights of shape (resamples, n): how often a resample holds each pair, over n; rows sum to 1.

    The same arguments give the same weights, so every schedule of a study is compared over the same
    resamples of its seeds.
    """
    counts = np.random.default_rng([seed, n, 1]).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = np.asarray(counts / n, dtype=np.float64)
    weights.setflags(write=False)
    return weights


def expanded_tail(n: int, confidence: float) -> float:
    """Return the tail at which to read a bootstrap distribution of n runs (Hesterberg 2015, section 3.3).

    Phi(-sqrt(n / (n - 1)) t_{n-1}): the plain percentile interval of a mean is too short by
    sqrt((n - 1) / n) and by normal instead of t quantiles; reading it further out repairs both.
    """
    return float(special.ndtr(-math.sqrt(n / (n - 1)) * t_quantile(0.5 + confidence / 2, n - 1)))


def expansion(n: int, confidence: float) -> float:
    """Return the factor by which a sup-t band of n runs is wider than a plain bootstrap spread."""
    level = 0.5 + confidence / 2
    return math.sqrt(n / (n - 1)) * t_quantile(level, n - 1) / normal_quantile(level)


@lru_cache(maxsize=32)
def _signs(n: int, seed: int) -> Array:
    """Return sign patterns, shape (patterns, n): all of them for few pairs, else a seeded sample."""
    if n <= EXACT_PAIRS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        bits = np.random.default_rng([seed, n, 2]).integers(0, 2, size=(FLIPS, n))
    signs = np.asarray(1.0 - 2.0 * bits, dtype=np.float64)
    signs.setflags(write=False)
    return signs


def sign_flip_p(differences: Array, seed: int) -> float:
    """Two-sided sign-flip test of a mean difference of 0 (Fisher 1935; shape (n,), n >= 1).

    Exact by enumeration up to ``EXACT_PAIRS`` pairs, so p is at least 2 / 2^n; beyond that Monte Carlo
    with the observed pattern counted in, p = (1 + b) / (1 + FLIPS), which keeps its level (Phipson and
    Smyth 2010). It is exact when each difference is as likely as its opposite, as it is when schedule and
    reference are equally fast and share nothing but their seeds.
    """
    n = differences.size
    observed = abs(float(differences.sum()))
    flipped = np.abs(_signs(n, seed) @ differences)
    as_extreme = int((flipped >= observed - TIE * max(1.0, float(np.abs(differences).sum()))).sum())
    return as_extreme / len(flipped) if n <= EXACT_PAIRS else (1 + as_extreme) / (1 + FLIPS)
