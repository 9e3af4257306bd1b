"""Configurations: points of a search space, and what the tuning trials of each found together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from lrstudy.records import Status
from lrstudy.rules.objective import Objective


class TuningTrial(Protocol):
    """The part of a trial that a configuration reads; records and the analysis' trials both have it."""

    @property
    def trial_id(self) -> str:
        """Its id."""

    @property
    def status(self) -> Status:
        """Its status at its end."""

    @property
    def params(self) -> dict[str, Any]:
        """Its hyperparameters."""

    @property
    def evaluations_run(self) -> int:
        """The number of its evaluations."""

    @property
    def best_val(self) -> float | None:
        """The metric's best value."""

    @property
    def best_evaluation(self) -> int | None:
        """The evaluation that measured that value."""

    @property
    def objective(self) -> float | None:
        """The value that tuning compares."""


T = TypeVar("T", bound=TuningTrial)


@dataclass(frozen=True, slots=True)
class Configuration(Generic[T]):
    """Concrete hyperparameters and what ``trials``, one for each seed, found together.

    ``number`` is its place in the order of suggestion. ``trials`` are those that did not fail, or all where
    all ``failed``. ``objective`` is their mean, None where one has none (it diverged) or all failed.
    ``learned`` is the mean share by which the training loss fell, None where one is unknown.
    """

    number: int
    trials: tuple[T, ...]
    failed: bool
    objective: float | None
    best_evaluation: float
    evaluations_run: float
    learned: float | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Its hyperparameters."""
        return self.trials[0].params

    @property
    def best_val(self) -> float | None:
        """The mean of the best values of its trials; None where one has none."""
        return _mean([trial.best_val for trial in self.trials])

    def cost(self, objective: Objective) -> float:
        """Return its objective as something to keep small; infinite where there is none."""
        if self.objective is None:
            return math.inf
        return -self.objective if objective.higher_is_better else self.objective


def configuration(number: int, trials: Sequence[T], learned: Callable[[T], float | None]) -> Configuration[T]:
    """Return the configuration of these trials; ``learned`` is the share by which the loss of one fell."""
    ran = [trial for trial in trials if trial.status is not Status.FAILED]
    counted = ran or trials
    return Configuration(
        number=number,
        trials=tuple(counted),
        failed=not ran,
        objective=_mean([trial.objective for trial in ran]),
        best_evaluation=math.fsum(trial.best_evaluation or 0 for trial in counted) / len(counted),
        evaluations_run=math.fsum(trial.evaluations_run for trial in counted) / len(counted),
        learned=_mean([learned(trial) for trial in ran]),
    )


def rank(tried: Configuration[Any], objective: Objective) -> tuple[float, ...]:
    """Return a sort key, the better first: the better objective, then fewer evaluations, then the earlier.

    Those that diverged come last, among them first the one that lasted longest.
    """
    if tried.objective is None:
        return (1.0, 0.0, -tried.evaluations_run, tried.number)
    return (0.0, tried.cost(objective), tried.best_evaluation, tried.number)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
