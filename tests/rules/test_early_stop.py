"""A run ends early where it has reached its targets or cannot win any more, and nowhere else."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.arrival import Arrival
from lrstudy.rules.early_stop import EarlyStop
from lrstudy.rules.metrics import METRICS
from lrstudy.spec import parse_study

ACCURACY = METRICS["val_accuracy"]
# 0.2 misses both targets, 0.6 reaches 0.5 alone, 0.9 both.
VALUES = st.lists(st.sampled_from([0.2, 0.6, 0.9, math.nan, None]), min_size=1, max_size=12)


def rows(values: list[float | None]) -> list[EvaluationRecord]:
    return [
        EvaluationRecord(
            evaluation=k,
            step=10 * k,
            epoch=float(k),
            train_seconds=1.0,
            estimate_seconds=0.0,
            eval_seconds=0.0,
            lr=0.1,
            lr_min=0.1,
            lr_max=0.1,
            val_accuracy=value,
        )
        for k, value in enumerate(values, 1)
    ]


def rule(
    cap: float | None = None,
    *,
    phase: Phase = Phase.TUNE,
    stay: int = 1,
    target: dict[str, Any] | None = None,
    stop: str = "tune",
) -> EarlyStop:
    study = parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "mlp", "batch_size": 32, "epochs": 12},
            "target": target or {"values": [0.5, 0.8], "primary": 0.5, "arrival": f"stay:{stay}"},
            "budget": {"objective": "target", "stop": stop},
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )
    early = EarlyStop.of(study, phase, cap)
    assert early is not None
    return early


def end(early: EarlyStop, values: list[float | None]) -> tuple[int, Status | None]:
    """The number of evaluations of a run, and the status with which it ended early."""
    ran = rows(values)
    for k in range(1, len(ran) + 1):
        if (status := early.after(ran[:k])) is not None:
            return k, status
    return len(ran), None


@given(VALUES, st.integers(1, 3), st.floats(0.1, 13))
def test_a_run_that_would_have_won_is_never_ended_before_its_arrival(
    values: list[float | None], stay: int, cap: float
) -> None:
    early = rule(cap, stay=stay)
    objective = early.goal.objective
    times = [float(k) for k in range(1, len(values) + 1)]
    measured = [math.nan if value is None else value for value in values]
    assert objective.arrival is not None
    whole = objective.value(measured, times)
    length, status = end(early, values)
    kept = objective.value(measured[:length], times[:length])
    if objective.arrival.row(measured) is not None and whole is not None and whole < cap:
        assert status is Status.COMPLETED
        assert kept == whole, "it is worth what the whole run is"
    elif status is Status.PRUNED:
        assert kept is None or kept >= 12
        assert times[length - 1] >= cap


@given(VALUES, st.integers(1, 3), st.sampled_from(["tune", "confirm"]))
def test_a_run_is_complete_with_its_arrival_at_the_last_target_that_matters(
    values: list[float | None], stay: int, phase: str
) -> None:
    """For tuning that is the primary target, 0.5; for other runs the hardest, 0.8."""
    early = rule(stay=stay, phase=Phase(phase), stop="all")
    measured = [math.nan if value is None else value for value in values]
    arrived = Arrival(ACCURACY, 0.5 if phase == "tune" else 0.8, stay).row(measured)
    length, status = end(early, values)
    assert (status is Status.COMPLETED) == (arrived is not None)
    if arrived is not None:
        assert length == arrived + stay


def test_a_run_whose_row_began_before_the_cap_may_complete_it() -> None:
    early = rule(3.5, stay=3)
    assert end(early, [0.2, 0.6, 0.6, 0.6, 0.2]) == (4, Status.COMPLETED)
    assert end(early, [0.2, 0.6, 0.6, 0.2, 0.6]) == (4, Status.PRUNED)
    # Between evaluations 3 and 4 it may have been there in time.
    assert end(early, [0.2, 0.2, 0.2, 0.6, 0.6, 0.6]) == (6, Status.COMPLETED)
    assert end(early, [0.2, 0.2, 0.2, 0.2, 0.6]) == (4, Status.PRUNED)


def test_a_metric_that_is_computed_from_a_column_is_compared_itself() -> None:
    early = rule(target={"metric": "val_error", "values": [0.2]})
    assert end(early, [0.1, 0.7, 0.85, 0.9]) == (3, Status.COMPLETED)


@pytest.mark.parametrize(
    ("budget", "phases"),
    [
        ({"stop": "never"}, set()),
        ({"stop": "tune"}, {Phase.TUNE, Phase.SELECT}),
        ({"stop": "all"}, {Phase.TUNE, Phase.SELECT, Phase.CONFIRM}),
        ({"objective": "best"}, set()),
        ({}, {Phase.TUNE, Phase.SELECT}),
    ],
)
def test_only_runs_of_the_phases_that_the_study_names_end_early(
    budget: dict[str, Any], phases: set[Phase]
) -> None:
    study = parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "mlp", "batch_size": 32, "epochs": 5},
            "target": {"values": [0.9]},
            "budget": budget,
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )
    assert {phase for phase in Phase if EarlyStop.of(study, phase, None) is not None} == phases
