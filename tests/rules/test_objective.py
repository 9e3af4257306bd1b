"""What tuning compares: a value in the metric's direction, or a time, of which less is better."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.rules.metrics import METRICS
from lrstudy.rules.objective import Objective

ACCURACY, LOSS = METRICS["val_accuracy"], METRICS["val_loss"]
TIMES = [1.0, 2.0, 3.0, 4.0, 5.0]


def target(stay: int = 1, length: float | None = 5.0, **changes: Any) -> Objective:
    return Objective.of("target", changes.get("metric", ACCURACY), 0.8, stay, "epochs", length)


def test_the_objective_is_the_time_at_which_the_line_between_two_evaluations_crosses_the_target() -> None:
    values = [0.5, 0.9, 0.7, 0.9, 0.9]
    assert target().value(values, TIMES) == pytest.approx(1.75)
    assert target(stay=2).value(values, TIMES) == pytest.approx(3.5)
    assert target(stay=2).value(values, [10.0, 20.0, 30.0, 50.0, 60.0]) == pytest.approx(40)
    falling = [1.6, 0.8, 0.4]
    assert target(metric=LOSS).value(falling, TIMES[:3]) == 2, "at the evaluation itself"
    assert target(metric=LOSS).value([2.0, 0.4], TIMES[:2]) == pytest.approx(1.75)


@pytest.mark.parametrize("values", [[0.9], [math.nan, 0.9]], ids=str)
def test_without_a_value_before_the_arrival_it_is_that_evaluations_time(values: list[float]) -> None:
    assert target().value(values, TIMES) == len(values)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=5, max_size=5), min_size=2, max_size=6),
    st.integers(1, 3),
    st.sampled_from([5.0, None]),
)
def test_no_run_without_an_arrival_is_better_than_one_with_it(
    runs: list[list[float]], stay: int, length: float | None
) -> None:
    objective = target(stay, length)
    values = [(objective.value(run, TIMES), run) for run in runs]
    best = min(values, key=lambda pair: pair[0] or math.inf)
    assert objective.arrival is not None
    arrived = [run for run in runs if objective.arrival.row(run) is not None]
    assert not arrived or objective.arrival.row(best[1]) is not None


def test_of_runs_without_an_arrival_the_nearer_is_better_also_if_it_ended_earlier() -> None:
    far, near = target().value([0.2] * 5, TIMES), target().value([0.2, 0.7], TIMES[:2])
    assert far is not None
    assert near is not None
    assert 5 < near < far < 10


def test_where_trials_are_not_equally_long_a_short_one_without_an_arrival_is_still_worse() -> None:
    """In optimizer steps a trial with large batches is over before one with small batches arrives."""
    short = target(length=None).value([0.79], [100.0])
    late = target(length=None).value([0.1, 0.9], [400.0, 800.0])
    assert short is not None
    assert late is not None
    assert late < short


@pytest.mark.parametrize(
    ("kind", "metric", "expected"),
    [
        ("best", ACCURACY, 0.9),
        ("final", ACCURACY, 0.7),
        ("mean", ACCURACY, 2.4 / 3),
        ("best", LOSS, 0.7),
        ("target", ACCURACY, 0.9),
    ],
)
def test_values_are_in_the_direction_of_the_metric(kind: str, metric: Any, expected: float) -> None:
    """Without a target ``target`` is ``best``."""
    objective = Objective.of(kind, metric, None, 1, "epochs", 3.0)
    assert objective.value([0.8, 0.9, 0.7], TIMES[:3]) == pytest.approx(expected)
    assert objective.higher_is_better is metric.higher_is_better
    assert objective.better(*((2, 1) if metric.higher_is_better else (1, 2)))


def test_of_times_the_smaller_is_better_whatever_the_metric() -> None:
    for metric in (ACCURACY, LOSS):
        objective = target(metric=metric)
        assert not objective.higher_is_better
        assert objective.better(1, 2)
        assert not objective.better(2, 2)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.nan]])
def test_where_nothing_was_measured_there_is_none(values: list[float]) -> None:
    for objective in (target(), Objective("best", ACCURACY)):
        assert objective.value(values, TIMES[: len(values)]) is None
