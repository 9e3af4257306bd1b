"""The best value of the study's metric so far, as a short series for each schedule: for the eye alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from lrstudy.rules.metrics import Metric

_MOST: Final = 256


@dataclass(slots=True)
class _Series:
    """A series that never has more than ``_MOST`` points: it then keeps every second one."""

    points: list[float] = field(default_factory=list)
    count: int = 0
    stride: int = 1

    def add(self, value: float) -> None:
        if self.count % self.stride == 0:
            self.points.append(value)
        else:
            self.points[-1] = value
        self.count += 1
        if len(self.points) > _MOST:
            self.points = self.points[::2]
            self.stride *= 2


class BestSoFar:
    """The best values after each evaluation, in the order in which the evaluations arrived."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._series: dict[str, _Series] = {}

    def add(self, schedule: str, stored: float | None) -> None:
        """Add an evaluation's value of the metric's column."""
        self.add_value(schedule, self._metric.value(stored))

    def add_value(self, schedule: str, value: float | None) -> None:
        """Add a value of the metric; one that is not finite is left out."""
        if value is None or not math.isfinite(value):
            return
        series = self._series.setdefault(schedule, _Series())
        best = series.points[-1] if series.points else value
        series.add(value if self._metric.better(value, best) else best)

    @property
    def series(self) -> dict[str, tuple[float, ...]]:
        """The series by schedule; a copy, for the display's thread."""
        return {name: tuple(series.points) for name, series in list(self._series.items())}
