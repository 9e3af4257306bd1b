"""The rule by which a run counts as having reached a target. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lrstudy.rules.metrics import Metric

FIRST: Final = "first"


def stay_of(arrival: str) -> int:
    """Return the number of evaluations in a row that an arrival rule needs: 1 for ``first``.

    Raises:
        ValueError: for another text than ``first`` and ``stay:N`` with a whole number N from 1.

    >>> stay_of("first"), stay_of("stay:3")
    (1, 3)
    """
    if arrival == FIRST:
        return 1
    kind, _, count = arrival.partition(":")
    if kind != "stay" or not count.isdecimal() or int(count) < 1:
        raise ValueError(f'"{arrival}" is neither "first" nor "stay:N" with a whole number N from 1')
    return int(count)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Arrival of a run at a target: ``stay`` evaluations in a row at it, dated to the first of them."""

    metric: Metric
    target: float
    stay: int = 1

    def row(self, values: Iterable[float]) -> int | None:
        """Return the place of the evaluation (from 0) at which a run with these values arrived, or None.

        The values are the metric's, one per evaluation so far; NaN does not reach a target.
        """
        began, length = 0, 0
        for place, value in enumerate(values):
            if not self.metric.reaches(value, self.target):
                length = 0
                continue
            began, length = (place, 1) if length == 0 else (began, length + 1)
            if length == self.stay:
                return began
        return None

    def row_underway(self, values: Iterable[float]) -> int | None:
        """Return the place at which the row that includes the last value began; None if it is in no row."""
        began: int | None = None
        for place, value in enumerate(values):
            if not self.metric.reaches(value, self.target):
                began = None
            elif began is None:
                began = place
        return began

    def gap(self, values: Iterable[float]) -> float:
        """Return how far the best of these values is from the target, in [0, 1]; 1 without a finite one.

        With d the distance, d / (d + |target|), and d / (d + 1) for a target of 0.
        """
        finite = [value for value in values if math.isfinite(value)]
        if not finite:
            return 1.0
        best = max(finite) if self.metric.higher_is_better else min(finite)
        if self.metric.reaches(best, self.target):
            return 0.0
        distance = abs(self.target - best)
        return distance / (distance + (abs(self.target) or 1.0))
