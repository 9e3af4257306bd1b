"""The progress of a run, read from its store alone, as data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from lrstudy.records import TrialRecord
from lrstudy.rules.objective import Objective
from lrstudy.rules.prices import Prices
from lrstudy.rules.run_progress import ScheduleProgress, progress_of
from lrstudy.rules.spending import Spending, seconds_held, spending_of
from lrstudy.store.lock import WriterWatch
from lrstudy.store.open_attempts import read_open_attempts
from lrstudy.store.reader import Store
from lrstudy.store.superseded import superseded_trials
from lrstudy.store.underway import NOTHING, Underway, read_underway

# The pace is that of the latest trials: a run may have been idle for hours before them.
_LATEST: Final = 20


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment; ``writer`` is the process that trains it, None if there is none.

    ``underway`` are the trials that it trains now. ``spending`` is its cost so far, None without prices, and
    ``energy_kwh`` the energy of its trials.
    """

    study: str
    metric: str
    objective: Objective
    schedules: tuple[ScheduleProgress, ...]
    writer: str | None
    seconds_per_trial: float | None
    clock: str = "epochs"
    spending: Spending | None = None
    energy_kwh: float | None = None
    underway: Underway = NOTHING

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(row.done for row in self.schedules)

    @property
    def planned(self) -> int:
        """Trials of the whole study."""
        return sum(row.planned for row in self.schedules)

    @property
    def seconds_left(self) -> float | None:
        """Seconds at the pace of the latest trials; None without a writer or with too few ended trials."""
        if not self.running or self.seconds_per_trial is None:
            return None
        return self.seconds_per_trial * max(0.0, self.planned - self.done - self.underway.worth)

    @property
    def complete(self) -> bool:
        """Return True if no trial is missing."""
        return self.done >= self.planned

    @property
    def running(self) -> bool:
        """Return True if trials are missing and a process trains them."""
        return not self.complete and self.writer is not None

    def to_json(self) -> dict[str, Any]:
        """Return everything that ``lrstudy status`` shows, as plain data."""
        return {
            "study": self.study,
            "metric": self.metric,
            "objective": self.objective.label,
            "done": self.done,
            "planned": self.planned,
            **({"underway": asdict(self.underway)} if self.underway.trials else {}),
            "writer": self.writer,
            "seconds_left": self.seconds_left,
            **({} if self.spending is None else {"cost": self.spending.to_json()}),
            **({} if self.energy_kwh is None else {"energy_kwh": self.energy_kwh}),
            "schedules": [self._row(row) for row in self.schedules],
        }

    def _row(self, row: ScheduleProgress) -> dict[str, Any]:
        """Return a schedule's progress; its steps only where they are what a trial's length is counted in."""
        values = asdict(row)
        if self.clock != "steps":
            del values["steps"]  # stores of version 1 did not record them
        return values


def read_status(store: Store, watch: WriterWatch | None = None) -> RunStatus:
    """Return the present status of the run in a store; ``watch`` has looked at its writer before."""
    return status_of(store, (watch or WriterWatch(store.location)).holder())


def status_of(store: Store, writer: str | None) -> RunStatus:
    """Return the status of the run in a store that this process writes, None if no process does."""
    records = store.trial_records()
    ends = (record.ended_at for record in records)
    ended = sorted(end.timestamp() for end in ends if end is not None)[-_LATEST:]
    pace = (ended[-1] - ended[0]) / (len(ended) - 1) if len(ended) > 1 else None
    study = store.study
    superseded = superseded_trials(study, records)
    lasting = [record for record in records if record.trial_id not in superseded]
    planned = {schedule.name: study.planned(schedule) for schedule in study.schedules}
    return RunStatus(
        study=study.name,
        metric=study.metric.name,
        objective=study.goal.objective,
        schedules=progress_of(
            planned, lasting, study.goal.objective, imported=study.imported, stopped=study.stopped
        ),
        writer=writer,
        seconds_per_trial=pace,
        clock=study.clock,
        spending=spending_so_far(store),
        energy_kwh=math.fsum(energies) if (energies := _energies(records)) else None,
        underway=NOTHING if writer is None else read_underway(store.location),
    )


def spending_so_far(store: Store) -> Spending | None:
    """Return the cost of a run so far, of all attempts at its trials; None if it names no prices."""
    prices = Prices.of(store.study.spec)
    if prices is None:
        return None
    records = store.trial_records()
    attempts = read_open_attempts(store.location, {record.trial_id for record in records})
    held = [(record, seconds_held(record, shared=store.study.lanes > 0)) for record in records]
    return spending_of(prices, [*held, *((one, one.seconds) for one in attempts)])


def _energies(records: Iterable[TrialRecord]) -> list[float]:
    return [record.energy_kwh for record in records if record.energy_kwh is not None]
