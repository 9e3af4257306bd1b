"""The rules that say when a search range was too narrow and when its trials hardly learned.

The search widens ranges by them, and a report judges a tuning by them. A place in a range is on the range's
own scale: a range that is searched on a log scale is judged on that scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

End = Literal["low", "high"]

# The outer part of a range, at each end, that counts as its end.
EDGE: Final = 0.05
# In this outer part a best value counts too, if it is the outermost of enough values that were tried: no
# trial then shows how the values between it and the end do.
OUTER: Final = 0.25
FEWEST_TRIED: Final = 4
# Where the training loss of no trial fell by more than this share, their values differ by luck alone.
LEARNED: Final = 0.05
# A rank correlation above this is a clear trend.
TREND: Final = 0.7


def place_in(low: float, high: float, value: float, *, log: bool) -> float:
    """Return where a value is in its range, from 0 to 1; 0.5 in a range of a single point.

    >>> place_in(0.001, 1.0, 0.1, log=False), round(place_in(0.001, 1.0, 0.1, log=True), 2)
    (0.0990990990990991, 0.67)
    """
    if low == high:
        return 0.5
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def at_end(place: float) -> End | None:
    """Return the end that a place in a range is at, or None.

    >>> at_end(0.04), at_end(0.5), at_end(0.96)
    ('low', None, 'high')
    """
    if place < EDGE:
        return "low"
    return "high" if place > 1 - EDGE else None


def outermost_near(place: float, value: float, tried: Sequence[float]) -> End | None:
    """Return the end that a best value is near, if nothing was tried between the two.

    >>> outermost_near(0.8, 0.5, [0.1, 0.2, 0.3, 0.5]), outermost_near(0.8, 0.5, [0.1, 0.2, 0.3, 0.6])
    ('high', None)
    """
    if len(tried) < FEWEST_TRIED:
        return None
    if place < OUTER and value <= min(tried):
        return "low"
    return "high" if place > 1 - OUTER and value >= max(tried) else None


def hardly_learned(falls: Sequence[float]) -> bool:
    """Return True if the training loss of no configuration fell by more than ``LEARNED``.

    ``falls`` are the known shares by which it fell (``rules.outcome.learned``); none known is not a sign.

    >>> hardly_learned([0.01, -0.2]), hardly_learned([0.01, 0.4]), hardly_learned([])
    (True, False, False)
    """
    return bool(falls) and max(falls) <= LEARNED


def trend(pairs: Sequence[tuple[float, float]]) -> End | None:
    """Return the end of the first values towards which the second clearly rise, by rank correlation.

    >>> trend([(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.3)]), trend([(1, 0.3), (2, 0.1), (3, 0.4), (4, 0.2)])
    ('high', None)
    """
    if len(pairs) < FEWEST_TRIED or min(len(set(column)) for column in zip(*pairs, strict=True)) < 2:
        return None
    ranks = [_ranks(column) for column in zip(*pairs, strict=True)]
    correlation = float(np.corrcoef(ranks)[0, 1])
    if abs(correlation) <= TREND:
        return None
    return "high" if correlation > 0 else "low"


def _ranks(values: Sequence[float]) -> np.ndarray:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: np.ndarray = np.cumsum(counts) - (counts - 1) / 2
    return means[inverse]
