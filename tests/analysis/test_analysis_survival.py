import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.analysis.intervals import Interval, mean_interval
from lrstudy.analysis.survival import kaplan_meier, median_time, restricted_mean

with warnings.catch_warnings():  # lifelines imports what pandas and numpy have deprecated
    warnings.simplefilter("ignore")
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

# Ties, censoring between and on hit times, a last run censored.
TIMES = [3, 5, 5, 6, 8, 8, 8, 11, 12, 15]
HITS = [True, True, False, True, True, True, False, False, True, False]


def reference(times: list[int], hits: list[bool]) -> KaplanMeierFitter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KaplanMeierFitter().fit(times, hits)


def test_kaplan_meier_and_its_limits_agree_with_lifelines() -> None:
    fitted = reference(TIMES, HITS)
    found = kaplan_meier(TIMES, HITS)
    assert found.times.tolist() == fitted.survival_function_.index.tolist()
    np.testing.assert_allclose(found.survival, fitted.survival_function_.iloc[:, 0], atol=1e-12)
    limits = fitted.confidence_interval_.to_numpy()
    np.testing.assert_allclose(np.column_stack([found.low, found.high])[1:], limits[1:], atol=1e-12)


runs = st.lists(st.tuples(st.integers(1, 15), st.booleans()), min_size=2, max_size=25)


@given(runs, st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_survival_mean_and_median_agree_with_lifelines_on_any_runs(
    case: list[tuple[int, bool]], horizon: int
) -> None:
    times, hits = [t for t, _ in case], [h for _, h in case]
    fitted = reference(times, hits)
    found = kaplan_meier(times, hits)
    np.testing.assert_allclose(found.survival, fitted.survival_function_.iloc[:, 0], atol=1e-12)
    expected = restricted_mean_survival_time(fitted, t=horizon)
    assert restricted_mean(times, hits, horizon).value == pytest.approx(expected)
    at_half = fitted.survival_function_.iloc[:, 0]
    median = at_half.index[at_half <= 0.5 + 1e-12]
    assert median_time(times, hits) == (median[0] if len(median) else None)


def test_without_early_censoring_the_restricted_mean_has_the_t_interval_of_the_mean() -> None:
    times, hits = [4.0, 7.0, 20.0, 9.0, 20.0, 12.0], [True, True, False, True, False, True]
    found, expected = restricted_mean(times, hits, 20), mean_interval(times)
    assert found.value == pytest.approx(expected.value)
    assert (found.low, found.high) == pytest.approx((expected.low, min(20.0, expected.high or 0)))


def test_hits_beyond_the_horizon_count_as_the_horizon() -> None:
    assert restricted_mean([4, 30], [True, True], 10).value == pytest.approx(7.0)
    # A hit on the horizon itself is one, and moves nothing.
    assert restricted_mean([4, 10], [True, True], 10).value == pytest.approx(7.0)


def test_greenwood_by_hand_with_early_censoring() -> None:
    # S = 1 to 2, 2/3 to 6 (run censored at 4), 0 at 6 = horizon: mean 2 + 4 * 2/3.
    # Variance: (4 * 2/3)^2 * 1 / (3 * 2) at t = 2; the hit at 6 leaves nothing behind. Times 3 / 2.
    found = restricted_mean([2, 4, 6], [True, False, True], 6, confidence=0.5)
    assert found.value == pytest.approx(2 + 8 / 3)
    error = np.sqrt((8 / 3) ** 2 / 6 * 1.5)
    assert found.low is not None
    # Student's t with 2 degrees at 0.75 is sqrt(2/3).
    assert found.low == pytest.approx(2 + 8 / 3 - np.sqrt(2 / 3) * error)


@pytest.mark.parametrize(
    ("times", "hits"), [([5.0], [True]), ([5.0, 5.0], [True, True]), ([9.0, 9.0], [False, False])]
)
def test_runs_without_spread_give_no_limits(times: list[float], hits: list[bool]) -> None:
    found = restricted_mean(times, hits, 9)
    assert found == Interval(times[0], None, None)


def test_median_of_runs_that_mostly_miss_is_none() -> None:
    assert median_time([3, 9, 9], [True, False, False]) is None
    assert median_time([3, 9], [True, False]) == 3
    assert median_time([], []) is None
    assert restricted_mean([], [], 5) == Interval(None, None, None)


def test_wrong_times_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        kaplan_meier([1.0, np.nan], [True, True])
    with pytest.raises(ValueError, match="2 times but 1"):
        kaplan_meier([1.0, 2.0], [True])
    with pytest.raises(ValueError, match="horizon"):
        restricted_mean([1.0], [True], 0)
