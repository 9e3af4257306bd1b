"""A trial's values of the study's metric: their best, the weights then, and what makes it diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.clocks import time_of
from lrstudy.rules.outcome import Outcome, best_index, divergence

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study


class ValuesSoFar:
    """The metric's values. Of a confirm trial it keeps the weights at the best one, for the test split."""

    def __init__(self, study: Study, phase: Phase) -> None:
        self._study, self._metric = study, study.metric
        self._keeps = phase is Phase.CONFIRM
        self._values: list[float] = []
        self._clock = study.goal.clock
        self._times: list[float] = []  # of the evaluations, in the objective's clock
        self.latest: float | None = None
        """The metric at the last evaluation."""
        self.diverged: str | None = None
        """The reason why the trial counts as diverged."""
        self.best_state: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self._values)

    def take(self, record: EvaluationRecord, model: nn.Module, *, may_diverge: bool) -> None:
        """Judge an evaluation of ``model``."""
        if may_diverge:
            self.diverged = divergence(record, self._study.built_in.divergence)
        value = self._metric.value(record.value(self._metric.column))
        self.latest = value
        self._values.append(math.nan if value is None or self.diverged else value)
        self._times.append(time_of(record, self._clock))
        if self._keeps and best_index(self._values, self._metric) == len(self._values) - 1:
            self.best_state = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def outcome(self) -> Outcome:
        """Return the trial's outcome, without the test split."""
        status = Status.DIVERGED if self.diverged else Status.COMPLETED
        outcome = Outcome(status, len(self._values), objective=self.objective, error=self.diverged)
        if (best := best_index(self._values, self._metric)) is not None:
            outcome.best_val, outcome.best_evaluation = self._values[best], best + 1
        return outcome

    @property
    def objective(self) -> float | None:
        """The value that tuning compares, after the last epoch; None if nothing finite was measured."""
        return None if self.diverged else self._study.objective.value(self._values, self._times)

    def state_dict(self) -> dict[str, Any]:
        """Return the values, the weights and the reason."""
        return {
            "values": list(self._values),
            "times": list(self._times),
            "latest": self.latest,
            "best_state": self.best_state,
            "diverged": self.diverged,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._values = list(state["values"])
        self._times = list(state.get("times", ()))  # a version without objectives in time kept none
        self.latest, self.best_state = state["latest"], state["best_state"]
        self.diverged = state["diverged"]
