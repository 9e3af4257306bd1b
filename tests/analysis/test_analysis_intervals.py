import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrstudy.analysis.intervals import Interval, holm, mean_interval, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (1, 10), (5, 10), (17, 20), (20, 20)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(successes: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    found = wilson(successes, n, confidence)
    assert found.value == successes / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_within_0_and_1_and_is_never_empty(case: tuple[int, int]) -> None:
    found = wilson(*case)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_wilson_of_no_run_knows_nothing_and_impossible_counts_are_refused() -> None:
    assert wilson(0, 0) == Interval(None, None, None)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_mean_interval_agrees_with_scipy() -> None:
    x = [0.91, 0.93, 0.88, 0.95]
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    found = mean_interval(x)
    assert found.value == pytest.approx(np.mean(x))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_mean_interval_with_too_few_values_has_no_limits() -> None:
    assert mean_interval([0.5]) == Interval(0.5, None, None)
    assert mean_interval([]) == Interval(None, None, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_mean_interval_refuses_what_is_not_a_number(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval([1.0, bad])


def test_holm_on_a_hand_computed_case() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1, then made monotone.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_skips_comparisons_that_have_no_p_value() -> None:
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_plain_p_value_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    for raw, value in zip(p, adjusted, strict=True):
        assert value is not None
        assert raw <= value <= min(1.0, len(p) * raw) + 1e-15
    order = sorted(range(len(p)), key=lambda i: p[i])
    ranked = [adjusted[i] or 0.0 for i in order]
    assert ranked == sorted(ranked)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_interval_of_a_mean_of_shares_stays_between_0_and_1_and_holds_it(values: list[float]) -> None:
    found = mean_interval(values, support=(0.0, 1.0))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.high <= 1
    assert found.low - 1e-12 <= found.value <= found.high + 1e-12
