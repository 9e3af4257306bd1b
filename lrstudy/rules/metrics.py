"""The metrics a study can be judged by, each with its own direction and range. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the epochs table.

    ``column`` is the stored column it is computed from; ``error`` is ``1 - accuracy`` and has no
    column itself. ``low`` and ``high`` bound the values it can take. ``test_column`` is its twin in the
    trials table, None for a training metric.
    """

    name: str
    column: str
    higher_is_better: bool
    low: float
    high: float
    test_column: str | None
    complement: bool = False

    def value(self, stored: float | None) -> float | None:
        """Return the metric's value from its stored column's value (None and NaN are kept)."""
        return stored if stored is None or not self.complement else 1.0 - stored

    def better(self, a: float, b: float) -> bool:
        """Return True if ``a`` is strictly better than ``b``; NaN is never better, anything beats NaN."""
        if math.isnan(a) or math.isnan(b):
            return math.isnan(b) and not math.isnan(a)
        return a > b if self.higher_is_better else a < b

    def reaches(self, value: float | None, target: float) -> bool:
        """Return True if a value satisfies a target; None and NaN never do."""
        if value is None or math.isnan(value):
            return False
        return value >= target if self.higher_is_better else value <= target

    @property
    def worst(self) -> float:
        """The limit that is worse than any measured value."""
        return -math.inf if self.higher_is_better else math.inf


def _split(prefix: str) -> list[Metric]:
    test = "test_" if prefix == "val_" else None

    def column(name: str) -> str | None:
        return None if test is None else test + name

    return [
        Metric(f"{prefix}accuracy", f"{prefix}accuracy", True, 0.0, 1.0, column("accuracy")),
        Metric(f"{prefix}error", f"{prefix}accuracy", False, 0.0, 1.0, column("accuracy"), complement=True),
        Metric(f"{prefix}loss", f"{prefix}loss", False, -math.inf, math.inf, column("loss")),
        Metric(f"{prefix}r2", f"{prefix}r2", True, -math.inf, 1.0, column("r2")),
    ]


METRICS: Final = MappingProxyType({metric.name: metric for metric in [*_split("val_"), *_split("train_")]})
