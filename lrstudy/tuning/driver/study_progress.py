"""The state of a study that is shown while it runs: trials done, work under way, best values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lrstudy.records import Phase


@dataclass(frozen=True, slots=True)
class ScheduleProgress:
    """The state of one schedule: finished and planned trials per phase, and the best tuning value so far."""

    name: str
    phases: dict[Phase, tuple[int, int]]
    best: float | None
    lost: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a study.

    ``underway`` is, for each phase, the trials that have trained some epochs and not ended, and the trials'
    worth of work that these epochs are.
    """

    schedules: tuple[ScheduleProgress, ...]
    underway: Mapping[Phase, tuple[int, float]] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Trials that have a record."""
        return sum(done for schedule in self.schedules for done, _ in schedule.phases.values())

    @property
    def planned(self) -> int:
        """Trials of the whole study."""
        return sum(planned for schedule in self.schedules for _, planned in schedule.phases.values())

    def missing(self, phase: Phase) -> float:
        """Trials of a phase that have no record yet, less what those under way have done."""
        counts = [schedule.phases.get(phase, (0, 0)) for schedule in self.schedules]
        return sum(planned - done for done, planned in counts) - self.underway.get(phase, (0, 0.0))[1]

    @property
    def worth(self) -> float:
        """Work done, in trials: those that have a record, and their part of those under way."""
        return self.finished + sum(worth for _, worth in self.underway.values())
