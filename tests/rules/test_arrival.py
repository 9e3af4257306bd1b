"""A run has arrived at a target once it stayed there long enough, and did so when it came there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.rules.arrival import Arrival, stay_of
from lrstudy.rules.metrics import METRICS

ACCURACY, LOSS = METRICS["val_accuracy"], METRICS["val_loss"]
VALUES = st.lists(st.sampled_from([0.1, 0.5, 0.9, math.nan]), max_size=12)


@given(VALUES, st.integers(1, 4))
def test_it_is_the_first_of_enough_evaluations_in_a_row(values: list[float], stay: int) -> None:
    rows = [k for k in range(len(values) - stay + 1) if all(v >= 0.5 for v in values[k : k + stay])]
    arrival = Arrival(ACCURACY, 0.5, stay)
    assert arrival.row(values) == (rows[0] if rows else None)
    # The same of a loss, whose small values are the good ones.
    assert Arrival(LOSS, -0.5, stay).row([-v for v in values]) == arrival.row(values)


@given(VALUES, st.integers(1, 4))
def test_an_arrival_never_moves_once_it_is_known(values: list[float], stay: int) -> None:
    arrival = Arrival(ACCURACY, 0.5, stay)
    known = [row for k in range(len(values) + 1) if (row := arrival.row(values[:k])) is not None]
    assert len(set(known)) <= 1


@given(VALUES)
def test_a_row_underway_reaches_up_to_the_last_value(values: list[float]) -> None:
    began = Arrival(ACCURACY, 0.5, 3).row_underway(values)
    if began is None:
        assert not values or not values[-1] >= 0.5
    else:
        assert all(value >= 0.5 for value in values[began:])
        assert began == 0 or not values[began - 1] >= 0.5


def test_the_gap_grows_with_the_distance_of_the_best_value_and_ignores_its_sign() -> None:
    gap = Arrival(ACCURACY, 0.9).gap
    assert gap([0.1, 0.9]) == 0
    assert 0 < gap([0.8, 0.1]) < gap([0.5, 0.4]) < gap([]) == gap([math.nan]) == 1
    assert gap([0.3, math.nan]) == pytest.approx(0.6 / 1.5)
    assert Arrival(LOSS, 0.2).gap([3.0, 0.5]) == pytest.approx(0.3 / 0.5)
    assert 0 < Arrival(LOSS, 0.0).gap([0.5]) < 1
    assert Arrival(LOSS, 0.2).gap([math.inf]) == 1


@pytest.mark.parametrize("text", ["stay", "stay:0", "stay:-1", "stay:x", "stay:1.5", "end", "3", ""])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        stay_of(text)
