"""The order of a study's trials: tunings of each schedule, then their winners on new seeds. No Ray, no disk.

Its decisions depend only on the study and on finished trials, so that a resume needs only the store's rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.configurations import Configuration
from lrstudy.rules.run_progress import ScheduleProgress
from lrstudy.spec import Study
from lrstudy.tuning.driver.tuning_trials import TuningTrials


class Controller:
    """Hands out trials and takes back records; single-threaded, owned by the driver."""

    def __init__(
        self,
        study: Study,
        finished: Iterable[TrialRecord] = (),
        learned: Mapping[str, float | None] = MappingProxyType({}),
        first_numbers: Mapping[Phase, int] = MappingProxyType({}),
        stopped: Iterable[str] = (),
    ) -> None:
        self._study, self._first_numbers = study, first_numbers
        self._stopped = set(stopped)
        self._specs = {spec.name: spec for spec in study.schedules}
        nothing = dict.fromkeys(Phase, 0)
        self._progress = {name: ScheduleProgress.of(name, nothing) for name in self._specs}
        self._tunings: dict[int, dict[str, TuningTrials]] = {}  # by replicate and schedule
        self._waiting: dict[int, int] = {}  # replicates that may have trials to hand out, each with its turn
        self._later: dict[str, list[tuple[TrialRecord, float | None]]] = {}
        self.plan(study.budget.replicates)
        for record in finished:
            self._take_back(record, learned.get(record.trial_id))

    def plan(self, replicates: int, schedules: Collection[str] | None = None) -> None:
        """Plan so many replicates, of all schedules or of some; those that are planned stay planned."""
        for replicate in range(1, replicates + 1):
            tunings = self._tunings.setdefault(replicate, {})
            for name, spec in self._specs.items():
                if name in tunings or (schedules is not None and name not in schedules):
                    continue
                tunings[name] = TuningTrials(
                    self._study, spec, replicate, self._progress[name], self._first_numbers
                )
                self._waiting.setdefault(replicate, 0)
        for name in self._specs:
            for record, learned in self._later.pop(name, []):
                self._take_back(record, learned)

    def next(self) -> TrialConfig | None:
        """Return the next trial to run, or None while it depends on trials that are still running.

        Earlier replicates come first. Within one, schedules take turns, so that none waits for the others and
        a cluster stays full.
        """
        for replicate in list(self._waiting):
            each = self._tunings[replicate].items()
            tunings = [tuning for name, tuning in each if name not in self._stopped]
            turn = self._waiting[replicate]
            for offset in range(len(tunings)):
                index = (turn + offset) % len(tunings)
                config = tunings[index].next()
                if config is not None:
                    self._waiting[replicate] = index + 1
                    return config
            if all(tuning.handed_out for tuning in tunings):
                del self._waiting[replicate]
        return None

    @property
    def done(self) -> bool:
        """Return True if every planned trial has a record."""
        return self.remaining == 0

    @property
    def remaining(self) -> int:
        """The number of planned trials that have no record yet."""
        every = (self.progress(name) for name in self._specs)
        return sum(progress.planned - progress.done for progress in every)

    @property
    def replicates(self) -> dict[str, int]:
        """The number of planned replicates of each schedule."""
        return {name: sum(name in tunings for tunings in self._tunings.values()) for name in self._specs}

    @property
    def in_flight(self) -> int:
        """The number of trials that were handed out and have no record; not those of stopped schedules."""
        return sum(
            tuning.in_flight
            for tunings in self._tunings.values()
            for name, tuning in tunings.items()
            if name not in self._stopped
        )

    @property
    def ended(self) -> list[str]:
        """The ids of all trials that have a record."""
        return [record.trial_id for record in self._records()]

    def stop(self, names: Iterable[str]) -> None:
        """Hand out no further trials of these schedules; those that have ended are all that is planned."""
        self._stopped.update(names)

    def complete(self, record: TrialRecord, learned: float | None = None) -> None:
        """Take the record of a trial; ``learned`` is the share by which its training loss fell."""
        self._take_back(record, learned)

    def winner(self, name: str, replicate: int = 1) -> Configuration[TrialRecord] | None:
        """Return the winner of a tuning; None before it ends, or if every trial failed.

        The best objective wins; among equals the one that reached it in fewer epochs, then the earlier. If
        all trials diverged, the one that trained longest wins.
        """
        return self._tunings[replicate][name].winner

    def failures(self) -> list[TrialRecord]:
        """Return the trials whose code raised."""
        return [record for record in self._records() if record.status is Status.FAILED]

    def progress(self, name: str) -> ScheduleProgress:
        """Return a copy of a schedule's progress; its best value is that of the best configuration so far."""
        copy = replace(self._progress[name])
        if name in self._stopped:
            copy.stop()
        return copy

    def _records(self) -> Iterable[TrialRecord]:
        for tunings in self._tunings.values():
            for tuning in tunings.values():
                yield from tuning.records

    def _take_back(self, record: TrialRecord, learned: float | None) -> None:
        tuning = self._tunings.get(record.replicate, {}).get(record.schedule)
        if tuning is None:  # of a later round, which is planned once its look is repeated
            self._later.setdefault(record.schedule, []).append((record, learned))
            return
        if tuning.take_back(record, learned) and not tuning.handed_out:
            self._waiting.setdefault(record.replicate, 0)
