"""The progress of a run, for its driver and for a reader of its store: trials ended out of those planned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.objective import Objective
from lrstudy.rules.spending import Spending


@dataclass(slots=True)
class ScheduleProgress:
    """One schedule's trials: ended and planned by phase, lost ones by cause, and the best value so far.

    ``epochs`` and ``steps`` are those of the ended trials together.
    """

    schedule: str
    tune_planned: int
    confirm_planned: int
    tune: int = 0
    confirm: int = 0
    pruned: int = 0
    diverged: int = 0
    failed: int = 0
    best: float | None = None
    range_tests: int = 0
    range_tests_planned: int = 0
    select: int = 0
    select_planned: int = 0
    stopped: bool = False
    epochs: float = 0.0
    steps: int = 0

    @classmethod
    def of(cls, schedule: str, planned: Mapping[Phase, int]) -> ScheduleProgress:
        """Return a schedule's progress before its first trial."""
        return cls(
            schedule,
            planned[Phase.TUNE],
            planned[Phase.CONFIRM],
            range_tests_planned=planned[Phase.RANGE_TEST],
            select_planned=planned.get(Phase.SELECT, 0),
        )

    def plan(self, planned: Mapping[Phase, int]) -> None:
        """Add trials to those planned."""
        self.range_tests_planned += planned[Phase.RANGE_TEST]
        self.tune_planned += planned[Phase.TUNE]
        self.select_planned += planned.get(Phase.SELECT, 0)
        self.confirm_planned += planned[Phase.CONFIRM]

    def add(self, record: TrialRecord) -> None:
        """Count a trial that has ended."""
        self.range_tests += record.phase is Phase.RANGE_TEST
        self.tune += record.phase is Phase.TUNE
        self.select += record.phase is Phase.SELECT
        self.confirm += record.phase is Phase.CONFIRM
        self.pruned += record.status is Status.PRUNED
        self.diverged += record.status is Status.DIVERGED
        self.failed += record.status is Status.FAILED
        self.epochs += record.epochs_run or 0.0
        self.steps += record.steps_run or 0

    def stop(self) -> None:
        """Plan no more than what has ended: the schedule was stopped by hand."""
        self.stopped = True
        self.range_tests_planned, self.tune_planned = self.range_tests, self.tune
        self.select_planned, self.confirm_planned = self.select, self.confirm

    def change(self, phase: Phase, planned: int, ended: int) -> None:
        """Add to the planned and the ended runs after a search, once it is known which they are."""
        if phase is Phase.SELECT:
            self.select_planned += planned
            self.select += ended
        else:
            self.confirm_planned += planned
            self.confirm += ended

    def compare(self, value: float, objective: Objective) -> None:
        """Keep a value of the objective as the best if it is better."""
        self.best = value if self.best is None or objective.better(value, self.best) else self.best

    @property
    def phases(self) -> dict[Phase, tuple[int, int]]:
        """Trials ended and trials planned of each phase; no range test or selection where none is planned."""
        tests = {Phase.RANGE_TEST: (self.range_tests, self.range_tests_planned)}
        select = {Phase.SELECT: (self.select, self.select_planned)}
        return {
            **(tests if self.range_tests_planned else {}),
            Phase.TUNE: (self.tune, self.tune_planned),
            **(select if self.select_planned else {}),
            Phase.CONFIRM: (self.confirm, self.confirm_planned),
        }

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return self.range_tests + self.tune + self.select + self.confirm

    @property
    def planned(self) -> int:
        """Trials of the whole study."""
        return self.range_tests_planned + self.tune_planned + self.select_planned + self.confirm_planned

    @property
    def lost(self) -> int:
        """Trials that diverged or failed."""
        return self.diverged + self.failed


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a study.

    ``underway`` is, for each phase, the trials that were evaluated and have not ended, and the trials' worth
    of work that their training is. ``trained`` are the epochs (or steps, the study's ``clock``) of all trials
    so far, ``bests`` the best values of the metric so far, by schedule, and ``spending`` the cost so far.
    """

    schedules: tuple[ScheduleProgress, ...]
    underway: Mapping[Phase, tuple[int, float]] = field(default_factory=dict)
    clock: str = "epochs"
    trained: float = 0.0
    bests: Mapping[str, Sequence[float]] = field(default_factory=dict)
    spending: Spending | None = None

    @property
    def finished(self) -> int:
        """Trials that have a record."""
        return sum(schedule.done for schedule in self.schedules)

    @property
    def planned(self) -> int:
        """Trials of the whole study."""
        return sum(schedule.planned for schedule in self.schedules)

    def missing(self, phase: Phase) -> float:
        """Return the trials of a phase that have no record yet, less the work done in those under way."""
        counts = [schedule.phases.get(phase, (0, 0)) for schedule in self.schedules]
        return sum(planned - done for done, planned in counts) - self.underway.get(phase, (0, 0.0))[1]

    @property
    def worth(self) -> float:
        """Work done, in trials: those that have a record, and their part of those under way."""
        return self.finished + sum(worth for _, worth in self.underway.values())


def progress_of(
    planned: Mapping[str, Mapping[Phase, int]],
    records: Iterable[TrialRecord],
    objective: Objective,
    *,
    imported: bool = False,
    stopped: Collection[str] = (),
) -> tuple[ScheduleProgress, ...]:
    """Return the progress of each schedule from the records of its trials.

    ``imported``: they are recorded histories. These are all that is planned, also where the numbers of seeds
    differ, and the best value is that of any phase. Of ``stopped`` schedules only what has ended is planned.
    """
    rows = {schedule: ScheduleProgress.of(schedule, phases) for schedule, phases in planned.items()}
    for record in records:
        row = rows[record.schedule]
        row.add(record)
        if (record.phase is Phase.TUNE or imported) and record.objective is not None:
            row.compare(record.objective, objective)
    for name in rows.keys() & stopped:
        rows[name].stop()
    for row in rows.values() if imported else ():
        row.confirm_planned = row.confirm
    return tuple(rows.values())
