"""How many trials of a run are done, counted from its store."""

from __future__ import annotations

from dataclasses import dataclass

from lrstudy.records import Phase, Status
from lrstudy.store import Store


@dataclass(slots=True)
class ScheduleCounts:
    """One schedule's trials: done and planned per phase, lost ones by cause, best tuning value so far."""

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


def counts(store: Store) -> list[ScheduleCounts]:
    """One entry per schedule, in the study's order."""
    study = store.study
    rows = {
        schedule.name: ScheduleCounts(
            schedule.name,
            planned[Phase.TUNE],
            planned[Phase.CONFIRM],
            range_tests_planned=planned[Phase.RANGE_TEST],
        )
        for schedule in study.schedules
        for planned in [study.planned(schedule)]
    }
    for record in store.trial_records():
        row = rows[record.schedule]
        row.range_tests += record.phase is Phase.RANGE_TEST
        row.tune += record.phase is Phase.TUNE
        row.confirm += record.phase is Phase.CONFIRM
        row.pruned += record.status is Status.PRUNED
        row.diverged += record.status is Status.DIVERGED
        row.failed += record.status is Status.FAILED
        value = record.objective
        if (record.phase is Phase.TUNE or study.imported) and value is not None:
            row.best = value if row.best is None or study.metric.better(value, row.best) else row.best
    for row in rows.values() if study.imported else ():
        row.confirm_planned = row.confirm  # what was recorded is all there is, also where seeds are uneven
    return list(rows.values())
