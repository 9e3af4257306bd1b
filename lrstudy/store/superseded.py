"""Runs of an extended study that count no more: those of a winner or finalist that no longer is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from lrstudy.records import Phase
from lrstudy.rules.configurations import Configuration, TuningTrial, configuration
from lrstudy.rules.trial_ids import trial_number
from lrstudy.rules.winners import best_of, finalists_of, params_key, winner_of
from lrstudy.store.study_info import ScheduleInfo, StudyInfo


class PhaseTrial(TuningTrial, Protocol):
    """A trial with its place in a study; records and the analysis' trials both have it."""

    @property
    def phase(self) -> Phase:
        """Its phase."""

    @property
    def schedule(self) -> str:
        """Its schedule."""

    @property
    def replicate(self) -> int:
        """Its replicate."""


T = TypeVar("T", bound=PhaseTrial)


def superseded_trials(study: StudyInfo, trials: Iterable[T]) -> frozenset[str]:
    """Return the ids of runs that count no more since an extension has reopened the search.

    A schedule's confirm runs are those of its winner. While the winner is not known yet, they are those that
    began last.
    """
    if not study.first_numbers:
        return frozenset()
    tunings: dict[tuple[str, int], list[T]] = {}
    for trial in trials:
        tunings.setdefault((trial.schedule, trial.replicate), []).append(trial)
    schedules = {schedule.name: schedule for schedule in study.schedules}
    return frozenset(
        trial_id
        for (name, _), those in tunings.items()
        for trial_id in _superseded_of(study, schedules[name], those)
    )


def _superseded_of(study: StudyInfo, schedule: ScheduleInfo, trials: Sequence[T]) -> list[str]:
    select, confirm = (_latest_first(trials, phase) for phase in (Phase.SELECT, Phase.CONFIRM))
    tried = _tried(study, schedule, trials)
    if tried is None:
        finalists, keys = [], {params_key(trial.params) for trial in confirm[:1]}
    else:
        finalists = finalists_of(tried, study.budget.finalists, study.goal.objective)
        keys = _winning(study, tried, finalists, select) or {params_key(t.params) for t in confirm[:1]}
    final = {params_key(one.params) for one in finalists}
    out = [trial.trial_id for trial in select if tried is not None and params_key(trial.params) not in final]
    return out + [trial.trial_id for trial in confirm if params_key(trial.params) not in keys]


def _latest_first(trials: Iterable[T], phase: Phase) -> list[T]:
    those = [trial for trial in trials if trial.phase is phase]
    return sorted(those, key=lambda trial: trial_number(trial.trial_id), reverse=True)


def _tried(study: StudyInfo, schedule: ScheduleInfo, trials: Iterable[T]) -> list[Configuration[T]] | None:
    """Return the configurations of a search; None before it has ended."""
    tuned = {trial_number(trial.trial_id): trial for trial in trials if trial.phase is Phase.TUNE}
    searched = bool(schedule.space)
    planned = study.budget.planned(searched=searched, range_tests=schedule.range_tests, replicates=1)
    if len(tuned) < planned[Phase.TUNE]:
        return None
    seeds = study.tune_seeds if searched else 1
    numbers = sorted(tuned)
    groups = [numbers[first : first + seeds] for first in range(0, len(numbers), seeds)]
    return [
        configuration(place, [tuned[number] for number in group], lambda _: None)
        for place, group in enumerate(groups)
    ]


def _winning(
    study: StudyInfo,
    tried: Sequence[Configuration[T]],
    finalists: Sequence[Configuration[T]],
    select: Sequence[T],
) -> set[str]:
    """Return the key of the winner; nothing before the selection has ended."""
    seeds, objective, selected = study.budget.select_seeds, study.goal.objective, []
    for place, one in enumerate(finalists):
        runs = [trial for trial in select if params_key(trial.params) == params_key(one.params)]
        if len(runs) < seeds:
            return set()
        runs.sort(key=lambda trial: trial_number(trial.trial_id))
        selected.append(configuration(place, runs, lambda _: None))
    winner = winner_of(best_of(tried, objective), selected, objective)
    return set() if winner is None else {params_key(winner.params)}
