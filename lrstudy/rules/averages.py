"""Means that repeat bit by bit."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_rate(rates: Sequence[float]) -> float:
    """Return the mean of the rates; a constant rate is itself, not its rounded sum divided by its count."""
    return rates[0] if min(rates) == max(rates) else math.fsum(rates) / len(rates)
