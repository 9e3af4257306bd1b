"""The objective that tuning compares: a value of the metric, or the time to a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from lrstudy.rules.arrival import Arrival
from lrstudy.rules.metrics import Metric

Kind = Literal["best", "final", "mean", "target"]
TARGET: Final = "target"
# The time of a run without an arrival where no length of a trial is known: longer than any run.
_NEVER: Final = 1e12


@dataclass(frozen=True, slots=True)
class Objective:
    """A number per trial, from the metric's values at its evaluations.

    ``best``, ``final`` and ``mean`` are values of the metric, in the metric's direction. ``target`` is the
    time to the target of ``arrival`` in ``clock``, interpolated between two evaluations: the smaller the
    better. A run that did not arrive counts as ``length`` times 1 to 2, the more the further its best value
    is from the target, so that tuning can tell the runs without a hit apart. ``length`` is that of a trial in
    ``clock``; None where that is not known, or not the same for all trials: such a run then counts as longer
    than any.
    """

    kind: Kind
    metric: Metric
    arrival: Arrival | None = None
    clock: str = "epochs"
    length: float | None = None

    @classmethod
    def of(
        cls, kind: str, metric: Metric, target: float | None, stay: int, clock: str, length: float | None
    ) -> Objective:
        """Return the objective that a study's settings name; without a target ``target`` is ``best``."""
        if kind != TARGET or target is None:
            return cls("best" if kind == TARGET else cast("Kind", kind), metric, None, clock, length)
        return cls(TARGET, metric, Arrival(metric, target, stay), clock, length)

    @property
    def higher_is_better(self) -> bool:
        """Return True if a larger objective is better; of times the smaller is."""
        return self.arrival is None and self.metric.higher_is_better

    @property
    def label(self) -> str:
        """A heading for values of the objective: "best val_accuracy", "epochs to 0.95"."""
        if self.arrival is not None:
            return f"{self.clock} to {self.arrival.target:g}"
        return f"{self.kind} {self.metric.name}"

    def shown(self, value: float | None) -> str:
        """Return a value of the objective as text; a dash for None, and a note for a run without a hit."""
        if value is None:
            return "–"
        if self.arrival is None:
            return f"{value:.4f}"
        missed = self.length is not None and value >= self.length
        return "not reached" if missed else f"{value:.3g}"

    def better(self, a: float, b: float) -> bool:
        """Return True if ``a`` is strictly better than ``b``."""
        return a > b if self.higher_is_better else a < b

    def value(self, values: Sequence[float], times: Sequence[float]) -> float | None:
        """Return the objective after these evaluations; None if nothing finite was measured.

        ``values`` are the metric's, ``times`` those of the evaluations in ``clock``.
        """
        finite = [value for value in values if not math.isnan(value)]
        if not finite:
            return None
        if self.arrival is not None:
            if (row := self.arrival.row(values)) is not None:
                return self._crossing(row, values, times)
            length = _NEVER if self.length is None else self.length
            return length * (1.0 + self.arrival.gap(values))
        match self.kind:
            case "final":
                return values[-1]
            case "mean":
                return math.fsum(values) / len(values)
        return max(finite) if self.metric.higher_is_better else min(finite)

    def _crossing(self, row: int, values: Sequence[float], times: Sequence[float]) -> float:
        """Return the time at which the line through two evaluations crosses the target, ``row`` the later.

        Evaluations are few: without it many configurations would be equally fast, and luck would choose.
        """
        if row == 0 or not math.isfinite(values[row - 1]):
            return times[row]
        assert self.arrival is not None
        share = (self.arrival.target - values[row - 1]) / (values[row] - values[row - 1])
        return times[row - 1] + share * (times[row] - times[row - 1])
