"""The tuning trials of a schedule by configuration: those with equal hyperparameters are one draw."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrstudy.analysis.trial_table import Trial
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric


@dataclass(frozen=True, slots=True)
class Configuration:
    """One point of the search space and what the trials that ran it found together.

    ``objective`` is their mean, None where one of them has none (it diverged). ``first`` is the least of
    their ids: configurations are suggested in that order.
    """

    trials: tuple[Trial, ...]
    objective: float | None
    best_epoch: float
    first: str

    @property
    def params(self) -> dict[str, Any]:
        """Its hyperparameters."""
        return self.trials[0].params

    @property
    def best_val(self) -> float | None:
        """The mean of what its trials reached; None where one reached nothing."""
        return _mean([trial.best_val for trial in self.trials])

    @property
    def learned(self) -> float:
        """By what share the training loss of its trials fell, in the mean; minus infinity where unknown."""
        known = _mean([trial.learned for trial in self.trials])
        return -math.inf if known is None or self.objective is None else known

    def cost(self, metric: Metric) -> float:
        """Its objective as something to keep small; infinite where there is none."""
        if self.objective is None:
            return math.inf
        return -self.objective if metric.higher_is_better else self.objective


def configurations(trials: Sequence[Trial]) -> list[Configuration]:
    """The configurations of those trials that did not fail, in the order in which they were suggested."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.status is not Status.FAILED:
            found.setdefault(json.dumps(trial.params, sort_keys=True), []).append(trial)
    return sorted(map(_configuration, found.values()), key=lambda one: one.first)


def ranked(trials: Sequence[Trial], metric: Metric) -> list[Configuration]:
    """The same, the one that the tuning would choose first."""
    return sorted(configurations(trials), key=lambda one: (one.cost(metric), one.best_epoch, one.first))


def _configuration(group: Sequence[Trial]) -> Configuration:
    return Configuration(
        trials=tuple(group),
        objective=_mean([trial.objective for trial in group]),
        best_epoch=math.fsum(trial.best_epoch or 0 for trial in group) / len(group),
        first=min(trial.trial_id for trial in group),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None
