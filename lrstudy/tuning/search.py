"""Which hyperparameters a schedule tries next. Optuna behind one function; no Ray.

Suggestion number ``n`` of a schedule depends on the study's seed, the schedule and results of fixed
earlier trials, never on the order in which machines answer:

- ``random``, ``qmc`` and ``grid`` look at no result.
- ``tpe`` starts with ``startup_trials`` random suggestions. After that it works in generations of
  ``budget.generation`` trials: all suggestions of a generation see the results of all earlier
  generations and none of their own (Optuna's constant liar keeps them apart).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from lrstudy.seeding import derive_seed
from lrstudy.spec import Choices, Range, ScheduleSpec, Space, Study


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A finished tuning trial as the search sees it.

    ``objective`` is None for a diverged trial: it counts as worse than every measured one. A ``failed``
    trial says nothing about its hyperparameters and is left out.
    """

    params: Mapping[str, Any]
    objective: float | None
    failed: bool = False


class Search:
    """The suggestions for one schedule of a study."""

    def __init__(self, study: Study, schedule: ScheduleSpec, *, higher_is_better: bool) -> None:
        self._budget, self._schedule = study.budget, schedule
        self._seed = derive_seed(study.seed, "search", schedule.name)
        self._higher_is_better = higher_is_better
        self._trials = study.tune_trials(schedule)
        self._suggested: list[dict[str, Any]] = []

    @property
    def startup_trials(self) -> int:
        """How many suggestions of TPE look at no result."""
        return min(10, max(4, self._trials // 2), self._trials)

    def needed(self, number: int) -> int:
        """How many of the first trials must be finished before suggestion ``number`` can be made."""
        if self._budget.search != "tpe" or number < self.startup_trials or not self._schedule.space:
            return 0
        size = self._budget.generation
        return self.startup_trials + (number - self.startup_trials) // size * size

    def suggest(self, number: int, history: Sequence[Evaluated]) -> dict[str, Any]:
        """The concrete hyperparameters of tuning trial ``number`` (from 0).

        ``history`` holds at least the first ``needed(number)`` trials in the order of their numbers;
        later ones are ignored.
        """
        if not self._schedule.space:
            return dict(self._schedule.fixed)
        while len(self._suggested) <= number:
            self._suggested += self._next_generation(len(self._suggested), history)
        return {**self._schedule.fixed, **self._suggested[number]}

    def _next_generation(self, first: int, history: Sequence[Evaluated]) -> list[dict[str, Any]]:
        seen = self.needed(first)
        count = self._generation_size(first)
        study = self._optuna_study(self._sampler(first), history[:seen])
        suggestions = []
        for _ in range(count):
            asked = study.ask(self._distributions())
            suggestions.append({name: self._value(name, asked.params[name]) for name in self._schedule.space})
        return suggestions

    def _generation_size(self, first: int) -> int:
        if self._budget.search != "tpe":
            return self._trials
        return self.startup_trials if first < self.startup_trials else self._budget.generation

    def _sampler(self, first: int) -> BaseSampler:
        seed = derive_seed(self._seed, "generation", first)
        with warnings.catch_warnings():
            # Optuna marks some of these options experimental; the version range in pyproject pins them.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            match self._budget.search:
                case "random":
                    return RandomSampler(seed)
                case "qmc":
                    return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
                case "grid":
                    return GridSampler(self._grid(), seed=seed)
                case "tpe":
                    startup = self.startup_trials
                    return TPESampler(
                        n_startup_trials=startup, multivariate=True, constant_liar=True, seed=seed
                    )

    def _optuna_study(self, sampler: BaseSampler, history: Sequence[Evaluated]) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        direction = up if self._higher_is_better else down
        study = optuna.create_study(sampler=sampler, direction=direction)
        penalty = self._penalty(history)
        for trial in history:
            params = {name: self._coordinate(name, trial.params[name]) for name in self._schedule.space}
            value = penalty if trial.objective is None else trial.objective
            state = TrialState.FAIL if trial.failed else TrialState.COMPLETE
            study.add_trial(
                create_trial(
                    params=params,
                    distributions=self._distributions(),
                    state=state,
                    value=None if trial.failed else value,
                )
            )
        return study

    def _penalty(self, history: Sequence[Evaluated]) -> float:
        """A finite value worse than all measured ones (Optuna refuses NaN)."""
        values = [trial.objective for trial in history if trial.objective is not None]
        return (
            (min(values, default=0.0) - 1.0) if self._higher_is_better else (max(values, default=0.0) + 1.0)
        )

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {name: _distribution(space) for name, space in self._schedule.space.items()}

    def _value(self, name: str, coordinate: Any) -> Any:
        space = self._schedule.space[name]
        return space.values[coordinate] if isinstance(space, Choices) else coordinate

    def _coordinate(self, name: str, value: Any) -> Any:
        space = self._schedule.space[name]
        if isinstance(space, Range):
            return value
        return space.values.index(tuple(value) if isinstance(value, list) else value)

    def _grid(self) -> dict[str, list[Any]]:
        """All choices, and on each range as many points as the budget allows, ends included."""
        spaces = self._schedule.space
        ranges = [name for name, space in spaces.items() if isinstance(space, Range)]
        combinations = math.prod(len(space.values) for space in spaces.values() if isinstance(space, Choices))
        points = int((self._trials / combinations) ** (1 / len(ranges)) + 1e-9) if ranges else 0
        return {name: _grid_points(space, max(points, 1)) for name, space in spaces.items()}


def _distribution(space: Space) -> BaseDistribution:
    if isinstance(space, Choices):
        # Optuna stores only plain values: a choice is known by its index.
        return CategoricalDistribution(tuple(range(len(space.values))))
    if space.integer:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(float(space.low), float(space.high), log=space.log)


def _grid_points(space: Space, points: int) -> list[Any]:
    if isinstance(space, Choices):
        return list(range(len(space.values)))
    low, high = (math.log(space.low), math.log(space.high)) if space.log else (space.low, space.high)
    steps = [0.5] if points == 1 else [index / (points - 1) for index in range(points)]
    values = [low + step * (high - low) for step in steps]
    if space.log:
        values = [math.exp(value) for value in values]
    # The ends are exact: exp(log(x)) may leave the range by one bit.
    values = [min(max(value, space.low), space.high) for value in values]
    return sorted({round(value) for value in values}) if space.integer else values
