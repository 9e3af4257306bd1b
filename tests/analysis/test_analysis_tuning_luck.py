"""A verdict on schedules has to survive another tuning, not only other seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.analysis.speedup import Speedup, paired_speedup
from lrstudy.analysis.tuning_luck import (
    TuningLuck,
    pooled_luck,
    selection_probabilities,
    winner_variance,
    with_tuning,
)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_selection_probabilities_are_those_of_drawing_again(n: int) -> None:
    rng = np.random.default_rng(0)
    best = rng.integers(0, n, (20_000, n)).min(axis=1)
    counted = np.bincount(best, minlength=n) / 20_000
    assert selection_probabilities(n) == pytest.approx(counted, abs=0.012)
    assert selection_probabilities(n).sum() == pytest.approx(1.0)


def test_equal_times_leave_no_variance() -> None:
    assert winner_variance(np.log([4.0, 4.0, 4.0]), 0.0) == pytest.approx(0.0, abs=1e-15)


def test_a_single_configuration_was_not_chosen_by_luck() -> None:
    assert winner_variance([1.0], 0.0) == 0.0


def test_two_configurations_by_hand() -> None:
    # The better one wins 3 draws of 4: variance p(1 - p)·(ln 2)².
    assert winner_variance(np.log([1.0, 2.0]), 0.0) == pytest.approx(0.75 * 0.25 * math.log(2) ** 2)


def test_the_noise_between_runs_is_not_counted_twice() -> None:
    rng = np.random.default_rng(1)
    noise = [winner_variance(rng.normal(0, 0.3, 12), 0.0) for _ in range(4_000)]
    p = selection_probabilities(12)
    # Twelve equal configurations differ by their noise alone: all of it is subtracted.
    assert np.mean(noise) == pytest.approx(0.09 * (1 - p @ p), rel=0.05)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.floats(0, 2))
def test_the_variance_is_never_negative_and_noise_only_lowers_it(logs: list[float], noise: float) -> None:
    assert 0.0 <= winner_variance(logs, noise) <= winner_variance(logs, 0.0)


def compared(reference: list[float], schedule: list[float]) -> Speedup:
    hits = [True] * len(reference)
    return paired_speedup(
        reference,
        schedule,
        horizon=40.0,
        resolution=1.0,
        reference_hits=hits,
        schedule_hits=hits,
        seed=0,
    )


LUCK = TuningLuck(variance=0.02, degrees=6)
REFERENCE, SCHEDULE = [12.0, 13, 14, 12, 13, 15, 12, 14], [9.0, 10, 10, 9, 11, 11, 9, 10]


def test_without_tuning_nothing_changes() -> None:
    found = compared(REFERENCE, SCHEDULE)
    assert with_tuning(found, REFERENCE, SCHEDULE, LUCK, 0, 0.95) is found
    assert found.over_tunings is found


def test_luck_of_the_tuning_widens_the_interval_and_raises_p() -> None:
    found = compared(REFERENCE, SCHEDULE)
    assert found.p_value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low > 1
    tuned = with_tuning(found, REFERENCE, SCHEDULE, LUCK, 2, 0.95)
    assert tuned.tuned_low is not None
    assert tuned.tuned_high is not None
    assert tuned.tuning_p is not None
    assert tuned.tuned_low < 1 < found.low < found.high < tuned.tuned_high
    assert tuned.tuning_p > 0.05 > found.p_value


def test_a_difference_far_beyond_the_luck_stays() -> None:
    slow = [3 * time for time in SCHEDULE]
    tuned = with_tuning(compared(slow, SCHEDULE), slow, SCHEDULE, LUCK, 2, 0.95)
    assert tuned.tuning_p is not None
    assert tuned.tuned_low is not None
    assert tuned.tuning_p < 0.01
    assert tuned.tuned_low > 1


def test_the_interval_is_the_same_whichever_is_the_reference() -> None:
    one = with_tuning(compared(REFERENCE, SCHEDULE), REFERENCE, SCHEDULE, LUCK, 2, 0.95)
    other = with_tuning(compared(SCHEDULE, REFERENCE), SCHEDULE, REFERENCE, LUCK, 2, 0.95)
    assert one.tuned_low is not None
    assert other.tuned_high is not None
    assert one.tuned_low == pytest.approx(1 / other.tuned_high)
    assert one.tuning_p == pytest.approx(other.tuning_p)


def test_the_luck_of_one_schedule_counts_half_of_that_of_two() -> None:
    found = compared(REFERENCE, SCHEDULE)
    one, two = (with_tuning(found, REFERENCE, SCHEDULE, LUCK, tuned, 0.95) for tuned in (1, 2))
    assert two.tuning_variance == pytest.approx(2 * one.tuning_variance)
    assert one.tuning_p is not None
    assert two.tuning_p is not None
    assert one.tuning_p < two.tuning_p


def test_luck_known_from_few_tunings_leaves_fewer_degrees_of_freedom() -> None:
    found = compared(REFERENCE, SCHEDULE)
    few, many = (
        with_tuning(found, REFERENCE, SCHEDULE, TuningLuck(0.02, degrees), 2, 0.95) for degrees in (2, 1e9)
    )
    assert few.tuned_low is not None
    assert many.tuned_low is not None
    assert few.tuned_low < many.tuned_low


def test_the_verdict_is_on_the_interval_over_tunings() -> None:
    found = with_tuning(compared(REFERENCE, SCHEDULE), REFERENCE, SCHEDULE, LUCK, 2, 0.95)
    assert (found.over_tunings.low, found.over_tunings.high) == (found.tuned_low, found.tuned_high)
    assert found.over_tunings.p_value == found.tuning_p


def test_pooled_luck_is_the_mean_with_one_schedule_of_the_spread_between_runs() -> None:
    assert pooled_luck([]) is None
    # (0.06 + 0.0 + 0.1) / 3: two tunings that showed no luck at all still leave some.
    luck = pooled_luck([(0.06, 0.08), (0.0, 0.12)])
    assert luck is not None
    assert (luck.variance, luck.degrees) == (pytest.approx(0.16 / 3), 2)
    nothing_seen = pooled_luck([(0.0, 0.08)])
    assert nothing_seen is not None
    assert nothing_seen.variance == pytest.approx(0.04)
