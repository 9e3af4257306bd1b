"""Which trial comes next: tuning per schedule, then each winner on fresh seeds. No Ray, no disk.

Everything it decides follows from the study and from finished trials, so that a resume needs nothing
but the store's rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lrstudy.metrics import METRICS, Metric
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.seeding import derive_seed
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.training import TrialConfig
from lrstudy.tuning.search import Evaluated, Search


@dataclass(slots=True)
class _Progress:
    """One schedule's trials: what was handed out and what came back."""

    spec: ScheduleSpec
    search: Search
    tune_trials: int
    tune_started: set[int] = field(default_factory=set)
    confirm_started: set[int] = field(default_factory=set)
    tuned: dict[int, TrialRecord] = field(default_factory=dict)
    confirmed: dict[int, TrialRecord] = field(default_factory=dict)


class Controller:
    """Hands out trials and takes back records; single-threaded, owned by the driver."""

    def __init__(self, study: Study, finished: Iterable[TrialRecord] = ()) -> None:
        self._study = study
        self._metric: Metric = METRICS[study.target.metric]
        self._schedules = {
            spec.name: _Progress(
                spec,
                Search(study, spec, higher_is_better=self._metric.higher_is_better),
                study.tune_trials(spec),
            )
            for spec in study.schedules
        }
        self._turn = 0
        for record in finished:
            self._take_back(record)

    def next(self) -> TrialConfig | None:
        """The next trial to run, or None while it depends on trials that are still running.

        Schedules take turns, so that none waits for the others and a cluster stays full.
        """
        names = list(self._schedules)
        for offset in range(len(names)):
            index = (self._turn + offset) % len(names)
            config = self._next_of(self._schedules[names[index]])
            if config is not None:
                self._turn = index + 1
                return config
        return None

    @property
    def done(self) -> bool:
        """Whether every trial of the study has a record."""
        return self.remaining == 0

    @property
    def remaining(self) -> int:
        """How many trials have no record yet."""
        return sum(
            planned - finished
            for schedule in self._schedules.values()
            for planned, finished in self._counts(schedule)
        )

    @property
    def in_flight(self) -> int:
        """How many trials were handed out and have not come back."""
        return sum(
            len(schedule.tune_started)
            - len(schedule.tuned)
            + len(schedule.confirm_started)
            - len(schedule.confirmed)
            for schedule in self._schedules.values()
        )

    @property
    def ended(self) -> list[str]:
        """The ids of all trials that have a record."""
        return [
            record.trial_id
            for schedule in self._schedules.values()
            for record in [*schedule.tuned.values(), *schedule.confirmed.values()]
        ]

    def complete(self, record: TrialRecord) -> None:
        """Take back a trial that was handed out."""
        self._take_back(record)

    def winner(self, name: str) -> TrialRecord | None:
        """The best tuning trial of a schedule: None before tuning is over, or if every trial failed.

        The best objective wins; among equals the one that got there in fewer epochs, then the earlier.
        When all trials diverged, the one that lasted longest stands for the schedule.
        """
        schedule = self._schedules[name]
        if len(schedule.tuned) < schedule.tune_trials:
            return None
        ran = [record for record in schedule.tuned.values() if record.status is not Status.FAILED]
        return min(ran, key=self._rank, default=None)

    def best(self, name: str) -> TrialRecord | None:
        """The best tuning trial of a schedule so far."""
        measured = [r for r in self._schedules[name].tuned.values() if r.objective is not None]
        return min(measured, key=self._rank, default=None)

    def lost(self, name: str) -> int:
        """How many trials of a schedule diverged or failed."""
        schedule = self._schedules[name]
        records = [*schedule.tuned.values(), *schedule.confirmed.values()]
        return sum(record.status in (Status.DIVERGED, Status.FAILED) for record in records)

    def failures(self) -> list[TrialRecord]:
        """The trials whose code raised."""
        return [
            record
            for schedule in self._schedules.values()
            for record in [*schedule.tuned.values(), *schedule.confirmed.values()]
            if record.status is Status.FAILED
        ]

    def progress(self, name: str) -> dict[Phase, tuple[int, int]]:
        """Per phase: trials finished, trials planned."""
        (tune, tuned), (confirm, confirmed) = self._counts(self._schedules[name])
        return {Phase.TUNE: (tuned, tune), Phase.CONFIRM: (confirmed, confirm)}

    def _counts(self, schedule: _Progress) -> list[tuple[int, int]]:
        over = len(schedule.tuned) == schedule.tune_trials
        confirms = 0 if over and self.winner(schedule.spec.name) is None else self._study.budget.confirm_seeds
        return [(schedule.tune_trials, len(schedule.tuned)), (confirms, len(schedule.confirmed))]

    def _next_of(self, schedule: _Progress) -> TrialConfig | None:
        number = _first_missing(schedule.tune_started, schedule.tune_trials)
        if number is not None:
            return self._tune(schedule, number)
        winner = self.winner(schedule.spec.name)
        if winner is None:
            return None
        number = _first_missing(schedule.confirm_started, self._study.budget.confirm_seeds)
        if number is None:
            return None
        schedule.confirm_started.add(number)
        return self._config(schedule.spec, Phase.CONFIRM, number, winner.params)

    def _tune(self, schedule: _Progress, number: int) -> TrialConfig | None:
        needed = schedule.search.needed(number)
        if any(earlier not in schedule.tuned for earlier in range(needed)):
            return None
        history = [_evaluated(schedule.tuned[earlier]) for earlier in range(needed)]
        params = schedule.search.suggest(number, history)
        schedule.tune_started.add(number)
        return self._config(schedule.spec, Phase.TUNE, number, params)

    def _config(self, spec: ScheduleSpec, phase: Phase, number: int, params: dict[str, Any]) -> TrialConfig:
        # The seed leaves the schedule out: trial n of every schedule starts from the same weights and
        # sees the data in the same order, which is what makes the comparison paired.
        seed = derive_seed(self._study.seed, phase.value, number)
        return TrialConfig(
            f"{spec.name}-{phase.value}-{number:03d}", phase, spec.name, spec.kind, params, seed
        )

    def _take_back(self, record: TrialRecord) -> None:
        schedule = self._schedules[record.schedule]
        number = _number(record.trial_id)
        if record.phase is Phase.TUNE:
            schedule.tune_started.add(number)
            schedule.tuned[number] = record
        else:
            schedule.confirm_started.add(number)
            schedule.confirmed[number] = record

    def _rank(self, record: TrialRecord) -> tuple[float, ...]:
        if record.objective is None:
            return (1.0, 0.0, -record.epochs_run, _number(record.trial_id))
        sign = -1.0 if self._metric.higher_is_better else 1.0
        return (0.0, sign * record.objective, record.best_epoch or 0, _number(record.trial_id))


def _first_missing(started: set[int], planned: int) -> int | None:
    if len(started) == planned:
        return None
    return next(number for number in range(planned) if number not in started)


def _number(trial_id: str) -> int:
    return int(trial_id.rpartition("-")[2])


def _evaluated(record: TrialRecord) -> Evaluated:
    return Evaluated(record.params, record.objective, failed=record.status is Status.FAILED)
