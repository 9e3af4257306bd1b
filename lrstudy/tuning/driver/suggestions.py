"""The suggestion of hyperparameters for a schedule, with Optuna; no Ray.

Suggestion number ``n`` of a schedule depends on the study's seed, the schedule and results of fixed
earlier configurations, never on the order in which trials end:

- ``random``, ``qmc`` and ``grid`` use no results.
- ``tpe`` starts with ``startup_trials`` random suggestions. After that it works in generations of
  ``budget.generation`` configurations: all suggestions of a generation use the results of all earlier
  generations and none of the same one (Optuna's constant liar keeps them apart).
- The configurations of an extension (``budget.extend``) are in generations too, for every search: before
  each the ranges are widened by the results so far (``extend_range``), and three of four suggestions of a
  generation are in the added part. If the search is not ``tpe`` the others are random.

Trials that are added to a study change no earlier suggestion, because a generation's suggestions do not
depend on its size. ``random`` and ``qmc`` continue their sequences, and ``tpe`` its generations. A grid has
its size from ``budget.first_trials``; those added to it are random.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from lrstudy.catalog import Parameter
from lrstudy.catalog.moved_options import find_parameter
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.rules.seeding import derive_seed
from lrstudy.spec import ScheduleSpec, Space, Study
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.spec.searched_values import parameter_of
from lrstudy.tuning.driver.extend_range import Evaluated, added_part, widen
from lrstudy.tuning.driver.optuna_space import Coordinates


class Search:
    """The suggestions for one schedule of a study; ``seed`` is the replicate's root seed."""

    def __init__(self, study: Study, schedule: ScheduleSpec, seed: int) -> None:
        self._budget, self._task, self._schedule = study.budget, study.task, schedule
        self._seed = derive_seed(seed, "search", schedule.name)
        self._higher_is_better = study.objective.higher_is_better
        self._first = study.first_configurations(schedule)  # what startup and grid are laid out for
        self._total = study.budget.trials - schedule.range_tests
        # Suggestions from this number on widen the ranges.
        self._widening = self._first if study.budget.extend else None
        self._suggested: list[dict[str, Any]] = []

    @property
    def startup_trials(self) -> int:
        """The number of TPE's suggestions that use no results."""
        return min(10, max(4, self._first // 2), self._first)

    def needed(self, number: int) -> int:
        """Return the number of first configurations that must be finished before suggestion ``number``."""
        if not self._schedule.space:
            return 0
        size = self._budget.generation
        if self._widens(number):
            return self._first + (number - self._first) // size * size
        if self._budget.search != "tpe" or number < self.startup_trials:
            return 0
        return self.startup_trials + (number - self.startup_trials) // size * size

    def suggest(self, number: int, history: Sequence[Evaluated]) -> dict[str, Any]:
        """Return the hyperparameters of configuration ``number`` (from 0).

        ``history`` has at least the first ``needed(number)`` configurations in the order of their numbers;
        later ones are ignored.
        """
        if not self._schedule.space:
            return dict(self._schedule.fixed)
        while len(self._suggested) <= number:
            self._suggested += self._next_generation(len(self._suggested), history)
        return {**self._schedule.fixed, **self._suggested[number]}

    def space_after(self, history: Sequence[Evaluated]) -> dict[str, Space]:
        """Return the space that the extension searches after the configurations in ``history``."""
        *_, space = self._spaces(history)
        return space

    def _spaces(self, history: Sequence[Evaluated]) -> Iterator[dict[str, Space]]:
        """Yield the study's space, then that of every generation of the extension."""
        space = dict(self._schedule.space)
        yield space
        for seen in range(self._first, len(history) + 1, self._budget.generation):
            space = widen(space, history[:seen], self._declared, higher_is_better=self._higher_is_better)
            yield space

    def _declared(self, name: str) -> Parameter | None:
        if is_of_task(name):
            return parameter_of(name, self._task, self._schedule.own_parts)
        return find_parameter(SCHEDULES.get(self._schedule.kind), name)

    def _next_generation(self, first: int, history: Sequence[Evaluated]) -> list[dict[str, Any]]:
        history = history[: self.needed(first)]
        extending = self._widens(first)
        *_, before, space = self._schedule.space, *self._spaces(history if extending else ())
        coordinates = Coordinates(space, self._schedule.fixed)
        study = self._optuna_study(self._sampler(first, coordinates), coordinates, history)
        rng = random.Random(derive_seed(self._seed, "widened", first))  # noqa: S311 - no secret
        suggestions, size = [], self._generation_size(first)
        beyond = size - size // 4
        for number in range(size):
            sampled = dict(study.ask(coordinates.distributions()).params)
            if extending and number < beyond:
                # One in each of as many equal parts, so that all of the added part is sampled.
                sampled |= _from_added(before, space, (number + rng.random()) / beyond)
            suggestions.append(coordinates.params(sampled))
        return suggestions

    def _generation_size(self, first: int) -> int:
        if self._widens(first):
            return self._budget.generation
        end = self._total if self._widening is None else self._widening
        if self._budget.search == "grid":
            return self._first if first < self._first else end - first
        if self._budget.search != "tpe":
            return end - first
        size = self.startup_trials if first < self.startup_trials else self._budget.generation
        return min(size, end - first)

    def _widens(self, number: int) -> bool:
        return self._widening is not None and number >= self._widening

    def _sampler(self, first: int, coordinates: Coordinates) -> BaseSampler:
        seed = derive_seed(self._seed, "generation", first)
        search = self._budget.search
        with warnings.catch_warnings():
            # Optuna marks some of these options experimental; the version range in pyproject pins them.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if search == "tpe":
                startup = self.startup_trials
                return TPESampler(n_startup_trials=startup, multivariate=True, constant_liar=True, seed=seed)
            if search == "qmc" and first == 0:
                return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
            if search == "grid" and first == 0:
                return GridSampler(coordinates.grid(self._first), seed=seed)
            return RandomSampler(seed)

    def _optuna_study(
        self, sampler: BaseSampler, coordinates: Coordinates, history: Sequence[Evaluated]
    ) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        direction = up if self._higher_is_better else down
        study = optuna.create_study(sampler=sampler, direction=direction)
        penalty = self._penalty(history)
        for trial in filter(lambda trial: coordinates.hold(trial.params), history):
            value = penalty if trial.objective is None else trial.objective
            state = TrialState.FAIL if trial.failed else TrialState.COMPLETE
            study.add_trial(
                create_trial(
                    params=coordinates.of(trial.params),
                    distributions=coordinates.distributions(),
                    state=state,
                    value=None if trial.failed else value,
                )
            )
        return study

    def _penalty(self, history: Sequence[Evaluated]) -> float:
        """Return a finite value worse than all measured ones (Optuna refuses NaN)."""
        values = [trial.objective for trial in history if trial.objective is not None]
        return (
            (min(values, default=0.0) - 1.0) if self._higher_is_better else (max(values, default=0.0) + 1.0)
        )


def _from_added(before: Mapping[str, Space], after: Mapping[str, Space], share: float) -> dict[str, Any]:
    """Return for each widened range the value at this relative position (0 to 1) in the added part."""
    values: dict[str, Any] = {}
    for name, span in after.items():
        part = added_part(before[name], span)
        if part is None:
            continue
        low, high = part
        value = low * (high / low) ** share if getattr(span, "log", False) else low + share * (high - low)
        values[name] = round(value) if getattr(span, "integer", False) else min(max(value, low), high)
    return values
