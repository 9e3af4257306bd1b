"""The metrics a study can be judged by, each with its own direction and range. Standard library only."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

# Names of metrics that are read in percent; a correlation or an F1 score in [0, 1] is not.
_SHARES: Final = frozenset({"accuracy", "acc", "error", "err"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the evaluations table.

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
    def is_share(self) -> bool:
        """Return True if it is a share of the examples, as an accuracy is: shown in percent."""
        words = re.split(r"[^a-z0-9]+", self.name.lower())
        named = any(word in _SHARES for word in words) or "top" in words
        return named and (self.low, self.high) == (0.0, 1.0)

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


CLIPPED_SHARE: Final = "clipped_share"
"""The column of the share of steps whose gradient was clipped: no metric to judge a study by."""

OF_THE_LOSS: Final = ("val_loss", "train_loss", "ema_val_loss")
"""Metrics that are values of the loss: methods with different losses cannot be compared by them."""

METRICS: Final = MappingProxyType({metric.name: metric for metric in [*_split("val_"), *_split("train_")]})


def declared_metrics(raw: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the metrics that a study declares: ``{name: "min" | "max" | {goal, low, high}}``.

    Each is stored in a column named like it; ``low`` and ``high`` are unbounded unless given.

    >>> declared_metrics({"perplexity": {"goal": "min", "low": 1.0}})["perplexity"].low
    1.0
    """
    return {name: _declared(name, entry) for name, entry in raw.items()}


def metric_of(name: str, declared: Mapping[str, Metric]) -> Metric:
    """Return a metric among a study's declared ones, else among ``METRICS``; ``KeyError`` for another."""
    return declared[name] if name in declared else METRICS[name]


def _declared(name: str, entry: Any) -> Metric:
    about = {"goal": entry} if isinstance(entry, str) else dict(entry)
    if about.get("goal") not in ("min", "max"):
        raise ValueError(f"the metric {name!r} has no goal, min or max")
    low, high = about.get("low"), about.get("high")
    return Metric(
        name=name,
        column=name,
        higher_is_better=about["goal"] == "max",
        low=-math.inf if low is None else float(low),
        high=math.inf if high is None else float(high),
        test_column=None,
    )
