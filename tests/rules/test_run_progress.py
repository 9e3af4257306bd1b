"""A run's progress: trials count by phase and by their end, and the best value in the metric's direction."""

from __future__ import annotations

from datetime import UTC, datetime

from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.run_progress import Progress, progress_of

PLANNED = {Phase.RANGE_TEST: 0, Phase.TUNE: 4, Phase.CONFIRM: 2}


def trial(
    number: int, phase: Phase = Phase.TUNE, objective: float | None = 0.5, status: Status = Status.COMPLETED
) -> TrialRecord:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return TrialRecord(
        trial_id=f"fixed-{phase.value}-{number:03d}",
        phase=phase,
        schedule="fixed",
        seed=number,
        params={},
        status=status,
        error=None,
        evaluations_run=2,
        best_val=objective,
        best_evaluation=2,
        objective=objective,
        test_loss=None,
        test_accuracy=None,
        test_r2=None,
        started_at=now,
        ended_at=now,
        node="",
        device="",
        attempt=1,
    )


RECORDS = [
    trial(0, objective=0.4),
    trial(1, objective=None, status=Status.DIVERGED),
    trial(2, objective=0.3, status=Status.PRUNED),
    trial(0, Phase.CONFIRM, objective=0.9),
]


def test_trials_count_by_phase_and_the_best_is_a_tuning_value() -> None:
    (row,) = progress_of({"fixed": PLANNED}, RECORDS, METRICS["val_accuracy"])
    assert row.phases == {Phase.TUNE: (3, 4), Phase.CONFIRM: (1, 2)}
    assert (row.pruned, row.diverged, row.failed, row.lost, row.best) == (1, 1, 0, 1, 0.4)
    (row,) = progress_of({"fixed": PLANNED}, RECORDS, METRICS["val_loss"])
    assert row.best == 0.3


def test_work_under_way_counts_as_its_part_of_a_trial() -> None:
    rows = progress_of({"fixed": PLANNED}, RECORDS, METRICS["val_accuracy"])
    progress = Progress(rows, {Phase.TUNE: (1, 0.25)})
    assert (progress.finished, progress.planned, progress.worth) == (4, 6, 4.25)
    assert (progress.missing(Phase.TUNE), progress.missing(Phase.CONFIRM)) == (0.75, 1)


def test_recorded_histories_are_all_that_is_planned() -> None:
    planned = {"fixed": PLANNED | {Phase.TUNE: 0}, "step": PLANNED | {Phase.TUNE: 0}}
    rows = progress_of(planned, RECORDS[-1:], METRICS["val_accuracy"], imported=True)
    assert [row.phases[Phase.CONFIRM] for row in rows] == [(1, 1), (0, 0)]
    assert [row.best for row in rows] == [0.9, None]
