"""The rule that says when a best value is at an end of the range that was searched.

The search widens ranges by it, and a report judges a tuning by it. It holds on the range's own scale: a
range that is searched on a log scale is judged on that scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

End = Literal["low", "high"]

# The outer part of a range, at each end, that counts as its end.
EDGE: Final = 0.05
# In this outer part a best value counts too, if it is the outermost of enough values that were tried:
# nothing then tells how those between it and the end do.
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
    """Return the end at which a place in a range is, if it is at one.

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
