"""The order of a study's trials: range test, tuning, then the winner on new seeds. No Ray, no disk.

Its decisions depend only on the study and on finished trials, so that a resume needs only the store's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.configurations import Configuration, configuration, rank
from lrstudy.rules.metrics import Metric
from lrstudy.rules.run_progress import ScheduleProgress
from lrstudy.rules.seeding import derive_seed
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.tuning.driver.extend_range import Evaluated
from lrstudy.tuning.driver.suggestions import Search


class _StartedTrials(set[int]):
    """The numbers of the trials that were handed out; none is ever removed."""

    _first = 0  # no smaller number is missing

    def missing(self, planned: int) -> int | None:
        """Return the smallest number below ``planned`` that is not in the set, or None."""
        while self._first in self:
            self._first += 1
        return self._first if self._first < planned else None


@dataclass(slots=True)
class _ScheduleTrials:
    """One schedule's trials: those handed out and those with a record."""

    spec: ScheduleSpec
    search: Search
    progress: ScheduleProgress
    repeats: int  # seeds per configuration
    test_started: bool = False
    tested: TrialRecord | None = None
    tune_started: _StartedTrials = field(default_factory=_StartedTrials)
    confirm_started: _StartedTrials = field(default_factory=_StartedTrials)
    tuned: dict[int, TrialRecord] = field(default_factory=dict)
    confirmed: dict[int, TrialRecord] = field(default_factory=dict)
    tried: dict[int, Configuration[TrialRecord]] = field(default_factory=dict)
    best: Configuration[TrialRecord] | None = None  # of those that did not fail
    learned: dict[str, float | None] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    @property
    def records(self) -> list[TrialRecord]:
        """The records of all ended trials."""
        first = [] if self.tested is None else [self.tested]
        return [*first, *self.tuned.values(), *self.confirmed.values()]

    @property
    def winner(self) -> Configuration[TrialRecord] | None:
        """The best configuration once tuning has ended; None before, or if every trial failed."""
        return self.best if len(self.tuned) == self.progress.tune_planned else None

    def take_back(self, number: int, record: TrialRecord, learned: float | None, metric: Metric) -> None:
        """Add a tuning trial, and its configuration once every trial of it has a record."""
        self.tuned[number], self.learned[record.trial_id] = record, learned
        index = number // self.repeats
        trials = range(index * self.repeats, (index + 1) * self.repeats)
        if any(trial not in self.tuned for trial in trials):
            return
        records = [self.tuned[trial] for trial in trials]
        tried = configuration(index, records, lambda record: self.learned.get(record.trial_id))
        self.tried[index] = tried
        if not tried.failed and (self.best is None or rank(tried, metric) < rank(self.best, metric)):
            self.best, self.progress.best = tried, tried.objective
        if self.best is None and len(self.tuned) == self.progress.tune_planned:
            self.progress.confirm_planned = 0  # there is no configuration to confirm


class Controller:
    """Hands out trials and takes back records; single-threaded, owned by the driver."""

    def __init__(
        self,
        study: Study,
        finished: Iterable[TrialRecord] = (),
        learned: Mapping[str, float | None] = MappingProxyType({}),
    ) -> None:
        self._study = study
        self._metric: Metric = study.metric
        self._schedules = {
            spec.name: _ScheduleTrials(
                spec,
                Search(study, spec, higher_is_better=self._metric.higher_is_better),
                ScheduleProgress.of(spec.name, study.planned(spec)),
                study.tune_seeds(spec),
            )
            for spec in study.schedules
        }
        self._turn = 0
        for record in finished:
            self._take_back(record, learned.get(record.trial_id))

    def next(self) -> TrialConfig | None:
        """Return the next trial to run, or None while it depends on trials that are still running.

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
        """Return True if every trial of the study has a record."""
        return self.remaining == 0

    @property
    def remaining(self) -> int:
        """The number of trials that have no record yet."""
        progress = [schedule.progress for schedule in self._schedules.values()]
        return sum(schedule.planned - schedule.done for schedule in progress)

    @property
    def in_flight(self) -> int:
        """The number of trials that were handed out and have no record."""
        return sum(
            (schedule.test_started and schedule.tested is None)
            + len(schedule.tune_started)
            - len(schedule.tuned)
            + len(schedule.confirm_started)
            - len(schedule.confirmed)
            for schedule in self._schedules.values()
        )

    @property
    def ended(self) -> list[str]:
        """The ids of all trials that have a record."""
        return [trial_id for schedule in self._schedules.values() for trial_id in schedule.ended]

    def complete(self, record: TrialRecord, learned: float | None = None) -> None:
        """Take the record of a trial; ``learned`` is the share by which its training loss fell."""
        self._take_back(record, learned)

    def winner(self, name: str) -> Configuration[TrialRecord] | None:
        """Return the best configuration of a schedule; None before tuning ends, or if every trial failed.

        The best objective wins; among equals the one that reached it in fewer epochs, then the earlier. If
        all trials diverged, the one that trained longest wins.
        """
        return self._schedules[name].winner

    def failures(self) -> list[TrialRecord]:
        """Return the trials whose code raised."""
        return [
            record
            for schedule in self._schedules.values()
            for record in schedule.records
            if record.status is Status.FAILED
        ]

    def progress(self, name: str) -> ScheduleProgress:
        """Return a copy of a schedule's progress; its best value is that of the best configuration so far."""
        return replace(self._schedules[name].progress)

    def _next_of(self, schedule: _ScheduleTrials) -> TrialConfig | None:
        if schedule.spec.range_tests and schedule.tested is None:
            if schedule.test_started:
                return None
            schedule.test_started = True
            return self._config(schedule.spec, Phase.RANGE_TEST, 0, {})
        number = schedule.tune_started.missing(schedule.progress.tune_planned)
        if number is not None:
            return self._tune(schedule, number)
        winner = schedule.winner
        if winner is None:
            return None
        number = schedule.confirm_started.missing(self._study.budget.confirm_seeds)
        if number is None:
            return None
        schedule.confirm_started.add(number)
        return self._config(schedule.spec, Phase.CONFIRM, number, dict(winner.params))

    def _tune(self, schedule: _ScheduleTrials, number: int) -> TrialConfig | None:
        index = number // schedule.repeats
        needed = schedule.search.needed(index)
        if any(earlier not in schedule.tuned for earlier in range(needed * schedule.repeats)):
            return None
        history = [_for_search(schedule.tried[earlier]) for earlier in range(needed)]
        params = schedule.search.suggest(index, history)
        schedule.tune_started.add(number)
        return self._config(schedule.spec, Phase.TUNE, number, params)

    def _config(self, spec: ScheduleSpec, phase: Phase, number: int, params: dict[str, Any]) -> TrialConfig:
        # The seed does not depend on the schedule: trial n of every schedule starts from the same weights and
        # gets the data in the same order, so that the comparison is paired.
        seed = derive_seed(self._study.seed, phase.value, number)
        return TrialConfig(
            f"{spec.name}-{phase.value}-{number:03d}", phase, spec.name, spec.kind, params, seed
        )

    def _take_back(self, record: TrialRecord, learned: float | None) -> None:
        schedule = self._schedules[record.schedule]
        number = _number(record.trial_id)
        if record.trial_id not in schedule.ended:
            schedule.ended.add(record.trial_id)
            schedule.progress.add(record)
        if record.phase is Phase.RANGE_TEST:
            self._take_back_test(schedule, record)
        elif record.phase is Phase.TUNE:
            schedule.tune_started.add(number)
            schedule.take_back(number, record, learned, self._metric)
        else:
            schedule.confirm_started.add(number)
            schedule.confirmed[number] = record

    def _take_back_test(self, schedule: _ScheduleTrials, record: TrialRecord) -> None:
        schedule.test_started, schedule.tested = True, record
        low, high = record.params.get("min_lr"), record.params.get("max_lr")
        if isinstance(low, float) and isinstance(high, float):
            # A failed test has no bounds: the search then has the whole range of the test.
            schedule.spec = schedule.spec.narrowed(low, high)
            higher = self._metric.higher_is_better
            schedule.search = Search(self._study, schedule.spec, higher_is_better=higher)


def _for_search(tried: Configuration[TrialRecord]) -> Evaluated:
    """Return a configuration in the form that the search takes."""
    return Evaluated(tried.params, tried.objective, failed=tried.failed, learned=tried.learned)


def _number(trial_id: str) -> int:
    return int(trial_id.rpartition("-")[2])
