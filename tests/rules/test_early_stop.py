"""A run ends early where it has reached its targets or cannot win any more, and nowhere else."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.early_stop import EarlyStop
from lrstudy.rules.goal import Goal
from lrstudy.rules.metrics import METRICS, Metric
from lrstudy.spec import parse_study

ACCURACY, ERROR = METRICS["val_accuracy"], METRICS["val_error"]
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
    cap: float | None = None, *, stay: int = 1, primary: float = 0.5, metric: Metric = ACCURACY
) -> EarlyStop:
    target = {"values": [0.5, 0.8], "primary": primary, "arrival": f"stay:{stay}"}
    goal = Goal.of(target, {"objective": "target", "stop": "tune"}, metric, "epochs", 12)
    return EarlyStop(goal, cap)


def end(early: EarlyStop, values: list[float | None]) -> tuple[int, Status | None]:
    """The number of evaluations of a run, and the status with which it ended early."""
    ran = rows(values)
    for k in range(1, len(ran) + 1):
        if (status := early.after(ran[:k])) is not None:
            return k, status
    return len(ran), None


@given(VALUES, st.integers(1, 3), st.integers(1, 13), st.sampled_from([0.5, 0.8]))
def test_a_run_that_would_have_won_is_never_ended_before_its_arrival(
    values: list[float | None], stay: int, cap: int, primary: float
) -> None:
    early = rule(float(cap), stay=stay, primary=primary)
    objective = early.goal.objective
    times = [float(k) for k in range(1, len(values) + 1)]
    measured = [math.nan if value is None else value for value in values]
    assert objective.arrival is not None
    arrived = objective.arrival.row(measured)
    length, status = end(early, values)
    if arrived is not None and times[arrived] < cap:
        assert status is not Status.PRUNED
        assert objective.value(measured[:length], times[:length]) == times[arrived]
    elif status is Status.PRUNED:
        assert length >= cap
        kept = objective.value(measured[:length], times[:length])
        assert kept is None or kept >= cap


@given(VALUES, st.integers(1, 3))
def test_a_run_is_complete_with_its_arrival_at_the_hardest_target(
    values: list[float | None], stay: int
) -> None:
    early = rule(stay=stay)
    length, status = end(early, values)
    assert early.goal.last_arrival is not None
    arrived = early.goal.last_arrival.row([math.nan if value is None else value for value in values])
    assert (status is Status.COMPLETED) == (arrived is not None)
    if arrived is not None:
        assert length == arrived + stay


def test_a_run_whose_row_began_before_the_cap_may_complete_it() -> None:
    early = rule(3.0, stay=3)
    assert end(early, [0.2, 0.6, 0.6, 0.6, 0.2]) == (5, None)
    assert end(early, [0.2, 0.6, 0.6, 0.2, 0.6]) == (4, Status.PRUNED)
    assert end(early, [0.2, 0.2, 0.6, 0.6, 0.6]) == (3, Status.PRUNED)


def test_a_metric_that_is_computed_from_a_column_is_compared_itself() -> None:
    target = {"values": [0.2]}
    goal = Goal.of(target, {"objective": "target", "stop": "tune"}, ERROR, "epochs", 12)
    assert end(EarlyStop(goal), [0.1, 0.7, 0.85, 0.9]) == (3, Status.COMPLETED)


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
