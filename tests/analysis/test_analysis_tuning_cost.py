import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.analysis.tuning_cost import (
    best_of_n,
    break_even,
    runs_to_repay,
    subset_weights,
    time_with_tuning,
)

values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(values, st.booleans())
@settings(max_examples=60, deadline=None)
def test_expected_best_is_the_mean_over_all_subsets(trials: list[float], higher: bool) -> None:
    found = best_of_n(trials, higher)
    pick = max if higher else min
    for n, expected in zip(found.n, found.expected, strict=True):
        assert expected == pytest.approx(np.mean([pick(c) for c in itertools.combinations(trials, n)]))


@given(values, st.booleans())
@settings(deadline=None)
def test_the_band_holds_the_estimate_and_stays_in_the_support(trials: list[float], higher: bool) -> None:
    found = best_of_n(trials, higher, support=(0.0, 1.0))
    for low, expected, high in zip(found.low, found.expected, found.high, strict=True):
        assert -1e-9 <= low <= expected + 1e-9
        assert expected <= high + 1e-9 <= 1 + 2e-9
    # More trials are never worse.
    steps = np.diff(found.expected)
    assert (steps >= -1e-12).all() if higher else (steps <= 1e-12).all()


@pytest.mark.parametrize("higher", [True, False])
def test_the_band_covers_the_true_curve_everywhere_at_least_at_its_level(higher: bool) -> None:
    # Uniform values on [0, 1]: the expected best of n is n / (n + 1), or 1 / (n + 1) downwards.
    rng = np.random.default_rng(4)
    n = np.arange(1, 17)
    truth = n / (n + 1) if higher else 1 / (n + 1)
    covered = 0
    for _ in range(300):
        found = best_of_n(rng.random(16).tolist(), higher, support=(0.0, 1.0))
        covered += bool(((np.array(found.low) <= truth) & (truth <= np.array(found.high))).all())
    assert covered / 300 >= 0.93


def test_failed_trials_count_as_the_worst() -> None:
    assert (
        best_of_n([0.5, None, 0.9, math.nan], True).expected == best_of_n([0.5, 0.5, 0.9, 0.5], True).expected
    )
    chance = best_of_n([0.5, None, 0.9, -math.inf], True, support=(0.1, 1.0))
    assert chance.expected[0] == pytest.approx((0.5 + 0.1 + 0.9 + 0.1) / 4)
    loss = best_of_n([0.5, math.inf, 0.9], False)
    assert loss.expected[0] == pytest.approx((0.5 + 0.9 + 0.9) / 3)
    assert loss.expected[-1] == 0.5


def test_without_any_finite_value_there_is_no_curve() -> None:
    assert best_of_n([None, math.nan], True).n == ()
    assert best_of_n([], True).expected == ()


@pytest.mark.parametrize("total", [1, 2, 7, 300])
def test_weights_are_probabilities_also_for_many_trials(total: int) -> None:
    weights = subset_weights(total)
    assert weights.sum(axis=1) == pytest.approx(np.ones(total))
    assert weights[0] == pytest.approx(np.full(total, 1 / total))
    assert weights[-1, -1] == pytest.approx(1.0)
    assert (weights >= 0).all()


def brute_force_time(times: list[float], cost: float, merit: list[float], n: int) -> float | None:
    """ERT of the mixture of what all subsets of n select."""
    chosen = [max(c, key=lambda i: merit[i]) for c in itertools.combinations(range(len(times)), n)]
    spent = sum(times[i] if math.isfinite(times[i]) else cost for i in chosen)
    hits = sum(math.isfinite(times[i]) for i in chosen)
    return spent / hits if hits else None


def test_time_with_tuning_agrees_with_all_subsets() -> None:
    times, merit = [12.0, math.inf, 7.0, 15.0, math.inf], [0.90, 0.10, 0.93, 0.95, 0.20]
    found = time_with_tuning(times, 20.0, None, objectives=merit)
    for n, time in zip(found.n, found.time, strict=True):
        expected = brute_force_time(times, 20.0, merit, n)
        assert time == pytest.approx(expected)
    assert found.tuning == (20.0, 40.0, 60.0, 80.0, 100.0)
    assert found.total[-1] == pytest.approx(100 + 15)


def test_the_end_of_the_curve_is_what_the_confirm_runs_took() -> None:
    found = time_with_tuning([12.0, 7.0], 20.0, 9.5, objectives=[0.9, 0.95])
    # With one trial: half the time the 12 of the other one, half the confirmed winner's 9.5.
    assert found.time == pytest.approx((10.75, 9.5))
    assert found.total == pytest.approx((30.75, 49.5))


def test_a_winner_that_missed_in_all_confirm_runs_gives_no_time() -> None:
    found = time_with_tuning([12.0, 7.0], 20.0, math.inf, objectives=[0.9, 0.95])
    # One trial: (12 + 20) spent for one hit in two; two trials: always the winner.
    assert found.time[0] == pytest.approx(32.0)
    assert found.time[1] is None
    assert found.total[1] is None


def test_without_objectives_the_soonest_is_selected_and_lower_may_be_better() -> None:
    times = [12.0, None, 7.0]
    assert time_with_tuning(times, 20.0, None).time[-1] == 7.0
    by_loss = time_with_tuning(times, 20.0, None, objectives=[0.1, math.nan, 0.3], higher_is_better=False)
    assert by_loss.time[-1] == 12.0


def test_trials_that_were_stopped_early_cost_what_they_ran() -> None:
    found = time_with_tuning([None, 8.0], [5.0, 20.0], None)
    assert found.tuning == (12.5, 25.0)
    assert found.time == pytest.approx((13.0, 8.0))


def test_of_equal_objectives_the_first_trial_wins() -> None:
    assert time_with_tuning([3.0, 9.0], 20.0, None, objectives=[0.9, 0.9]).time[-1] == 3.0


def test_impossible_trials_are_refused() -> None:
    assert time_with_tuning([], 20.0, None).n == ()
    with pytest.raises(ValueError, match="cost"):
        time_with_tuning([1.0], 0.0, None)
    with pytest.raises(ValueError, match="2 costs"):
        time_with_tuning([1.0], [2.0, 3.0], None)
    with pytest.raises(ValueError, match="0 objectives"):
        time_with_tuning([1.0], 2.0, None, objectives=[])


def test_break_even_is_the_first_point_below_the_untuned_time() -> None:
    assert break_even(10.0, [None, 12.0, 10.0, 9.0, 8.0]) == 4
    assert break_even(5.0, [12.0, 10.0]) is None
    assert break_even(None, [None, 500.0]) == 2
    assert break_even(5.0, []) is None


@given(st.floats(1, 100), st.floats(1, 1000), st.floats(1, 100))
def test_runs_to_repay_is_the_least_number_that_pays(untuned: float, cost: float, tuned: float) -> None:
    runs = runs_to_repay(untuned, cost, tuned)
    if runs is None:
        assert tuned >= untuned
        return
    assert cost + runs * tuned <= runs * untuned * (1 + 1e-6)
    assert runs == 1 or cost + (runs - 1) * tuned > (runs - 1) * untuned * (1 - 1e-6)


def test_runs_to_repay_when_a_side_never_gets_there() -> None:
    assert runs_to_repay(None, 100.0, 20.0) == 1
    assert runs_to_repay(30.0, 100.0, None) is None
