"""The shortest training whose end reaches a target: monotone interpolation, ratios and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from lrstudy.analysis.length_to_target import Ends, length_to_target, monotone
from lrstudy.rules.metrics import METRICS

ACCURACY, LOSS = METRICS["val_accuracy"], METRICS["val_loss"]
LENGTHS = (10.0, 20.0, 40.0)
NAN = math.nan


def units(*rows: tuple[float, ...]) -> Ends:
    """One run at each length for each unit."""
    return {n: {length: [v] for length, v in zip(LENGTHS, row, strict=True)} for n, row in enumerate(rows)}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 3)), min_size=1, max_size=6), st.booleans())
def test_the_monotone_fit_equals_scipy_s(points: list[tuple[float, float]], increasing: bool) -> None:
    values, weights = np.array(points).T
    expected = optimize.isotonic_regression(values, weights=weights, increasing=increasing).x
    fitted = monotone(values[None], weights[None], increasing=increasing)
    assert fitted[0] == pytest.approx(expected)


def test_a_length_without_a_run_takes_no_part_in_the_fit() -> None:
    fitted = monotone(np.array([[0.5, NAN, 0.4, 0.9]]), np.array([[1.0, 0.0, 1.0, 1.0]]))
    assert fitted[0] == pytest.approx([0.45, NAN, 0.45, 0.9], nan_ok=True)


def test_the_length_is_interpolated_on_a_log_scale() -> None:
    found, _ = length_to_target({"fixed": units((0.90, 0.94, 0.98))}, "fixed", 0.96, ACCURACY, seed=0)
    assert found["fixed"].length.value == pytest.approx(20 * 2**0.5)
    assert found["fixed"].means == pytest.approx((0.90, 0.94, 0.98))
    assert (found["fixed"].length.low, found["fixed"].at_most) == (None, False)
    down, _ = length_to_target({"fixed": units((0.4, 0.3, 0.2))}, "fixed", 0.35, LOSS, seed=0)
    assert down["fixed"].length.value == pytest.approx(10 * 2**0.5)


def test_a_dip_at_a_longer_training_is_pooled() -> None:
    found, _ = length_to_target({"fixed": units((0.90, 0.97, 0.95))}, "fixed", 0.955, ACCURACY, seed=0)
    assert found["fixed"].monotone == pytest.approx((0.90, 0.96, 0.96))
    share = (0.955 - 0.90) / (0.96 - 0.90)
    assert found["fixed"].length.value == pytest.approx(10 * 2**share)


def test_a_target_beyond_the_longest_and_one_within_the_shortest_are_said() -> None:
    ends = {
        "fixed": units((0.90, 0.92, 0.94)),
        "fast": units((0.97, 0.98, 0.99)),
        "quick": units((0.96, 0.97, 0.98)),
    }
    found, ratios = length_to_target(ends, "fixed", 0.95, ACCURACY, seed=0)
    assert found["fixed"].length.value is None
    assert (found["fast"].length.value, found["fast"].at_most) == (10, True)
    assert ratios["fast"].ratio.value is None
    assert ratios["fast"].note == "fixed does not reach the target at the end of any length."
    _, both = length_to_target(ends, "quick", 0.95, ACCURACY, seed=0)
    assert both["fast"].note.startswith("Both reach the target at the end of the shortest length")
    _, neither = length_to_target(ends, "fixed", 0.995, ACCURACY, seed=0)
    assert neither["fast"].note.startswith("Neither of the two reaches the target")


def test_a_reference_that_never_ends_there_is_slower_than_one_that_does() -> None:
    ends = {"fixed": spread(0.90, 0.01, 1), "cosine": spread(0.93, 0.02, 2)}
    _, ratios = length_to_target(ends, "fixed", 0.96, ACCURACY, seed=0)
    found = ratios["cosine"]
    assert found.ratio.value is found.ratio.high is None
    assert found.ratio.low is not None
    assert 1 < found.ratio.low < 40 / 20
    assert found.shorter
    assert found.p_value is not None
    assert found.p_value < 0.02
    _, turned = length_to_target(ends, "cosine", 0.96, ACCURACY, seed=0)
    assert turned["fixed"].ratio.low is None
    assert turned["fixed"].shorter is False


def spread(centre: float, rise: float, seed: int, count: int = 8) -> Ends:
    rng = np.random.default_rng(seed)
    luck = rng.normal(0, 0.004, count)
    return units(*[tuple(centre + rise * place + luck[n] for place in range(3)) for n in range(count)])


def test_a_schedule_that_needs_half_the_length_is_twice_as_fast() -> None:
    ends = {"fixed": spread(0.92, 0.02, 1), "cosine": spread(0.94, 0.02, 1)}
    _, ratios = length_to_target(ends, "fixed", 0.95, ACCURACY, seed=0)
    found = ratios["cosine"]
    assert found.ratio.value == pytest.approx(2.0, rel=0.01)
    assert found.ratio.low is not None
    assert found.ratio.low > 1
    assert found.p_value is not None
    assert found.p_value < 0.05
    assert found.units == 8


def test_the_other_way_round_is_the_inverse() -> None:
    ends = {"fixed": spread(0.92, 0.02, 1), "cosine": spread(0.935, 0.02, 2)}
    _, one = length_to_target(ends, "fixed", 0.95, ACCURACY, seed=0)
    _, other = length_to_target(ends, "cosine", 0.95, ACCURACY, seed=0)
    first, second = one["cosine"], other["fixed"]
    assert first.ratio.value == pytest.approx(1 / (second.ratio.value or 0))
    assert first.ratio.low == pytest.approx(1 / (second.ratio.high or 0), rel=1e-2)
    assert first.p_value == pytest.approx(second.p_value, abs=2e-3)


def test_a_limit_beyond_the_longest_length_is_open() -> None:
    rows = [(0.90, 0.93, 0.96)] * 3 + [(0.90, 0.92, 0.94)] * 3
    found, _ = length_to_target({"fixed": units(*rows)}, "fixed", 0.949, ACCURACY, seed=0)
    assert found["fixed"].length.low is not None
    assert found["fixed"].length.high is None


def test_a_run_that_diverged_counts_as_the_worst() -> None:
    found, _ = length_to_target(
        {"fixed": units((0.9, 0.94, 0.98), (0.9, 0.94, NAN))}, "fixed", 0.96, ACCURACY, seed=0
    )
    assert found["fixed"].means == pytest.approx((0.9, 0.94, 0.94))
    lost, _ = length_to_target({"fixed": units((3.0, 0.4, 0.2), (2.0, 0.4, NAN))}, "fixed", 0.3, LOSS, seed=0)
    assert lost["fixed"].means[2] == pytest.approx(1.6)


def test_units_that_only_one_schedule_has_are_left_out_of_the_ratio() -> None:
    ends = {"fixed": units((0.90, 0.94, 0.98)), "cosine": {5: {10.0: [0.96]}}}
    _, ratios = length_to_target(ends, "fixed", 0.96, ACCURACY, seed=0)
    assert (ratios["cosine"].units, ratios["cosine"].ratio.value) == (0, None)
    assert "no seed or replicate in common" in ratios["cosine"].note


def test_the_interval_of_the_ratio_holds_the_truth() -> None:
    """Two schedules whose true lengths are in the ratio 1.5, with eight units."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        tables = {
            name: units(*[tuple(row) for row in centre + rng.normal(0, 0.006, (8, 3))])
            for name, centre in (
                ("fixed", 0.92 + 0.02 * np.arange(3)),
                ("cosine", 0.92 + 0.02 * math.log2(1.5) + 0.02 * np.arange(3)),
            )
        }
        _, ratios = length_to_target(tables, "fixed", 0.95, ACCURACY, seed=0)
        limits = ratios["cosine"].ratio
        held += (limits.low or 0) <= 1.5 <= (limits.high or math.inf)
    assert held / 100 >= 0.89


def test_the_error_of_a_ratio_is_that_of_the_mean_over_units_also_of_few() -> None:
    def ends(units: int, shift: float) -> Ends:
        # At the target halfway between the lengths, on a log scale; log 2 of length is 0.1 of the value.
        rng = np.random.default_rng(3)
        return {
            unit: {10.0: [0.85 + move], 20.0: [0.95 + move]}
            for unit, move in enumerate(shift * rng.standard_normal(units))
        }

    for units, rel in ((40, 0.1), (2, 0.5)):
        _, ratios = length_to_target(
            {"fixed": ends(units, 0.0), "other": ends(units, 0.01)}, "fixed", 0.9, ACCURACY, seed=0
        )
        moves = [unit[10.0][0] - 0.85 for unit in ends(units, 0.01).values()]
        expected = np.std(moves, ddof=1) / units**0.5 / 0.1 * np.log(2)
        assert ratios["other"].error == pytest.approx(expected, rel=rel)
