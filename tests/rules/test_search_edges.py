"""The rules on search ranges: ends are judged on a range's own scale, a trend by ranks alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrstudy.rules.outcome import learned
from lrstudy.rules.search_edges import TREND, at_end, hardly_learned, outermost_near, place_in, trend

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=12)


@given(pairs)
def test_a_trend_is_spearmans_rank_correlation(pairs: Sequence[tuple[float, float]]) -> None:
    if min(len(set(column)) for column in zip(*pairs, strict=True)) < 2:
        assert trend(pairs) is None
        return
    correlation = float(stats.spearmanr(pairs).statistic)
    assert trend(pairs) == ("high" if correlation > TREND else "low" if correlation < -TREND else None)


def test_three_trials_show_no_trend() -> None:
    rising = [(rate, rate) for rate in (1.0, 2.0, 3.0, 4.0)]
    assert trend(rising) == "high"
    assert trend(rising[:3]) is None


@pytest.mark.parametrize(("value", "end"), [(1.1e-4, "low"), (1e-2, None), (0.9, "high")])
def test_a_log_range_is_judged_on_its_log_scale(value: float, end: str | None) -> None:
    assert at_end(place_in(1e-4, 1.0, value, log=True)) == end


def test_a_best_value_near_an_end_counts_only_if_nothing_was_tried_beyond_it() -> None:
    assert outermost_near(0.2, 0.2, [0.2, 0.3, 0.5, 0.9]) == "low"
    assert outermost_near(0.2, 0.2, [0.1, 0.3, 0.5, 0.9]) is None
    assert outermost_near(0.3, 0.3, [0.3, 0.4, 0.5, 0.9]) is None
    assert outermost_near(0.2, 0.2, [0.2, 0.3, 0.9]) is None


def test_one_configuration_that_learned_is_enough() -> None:
    assert hardly_learned([0.05, -1.0])
    assert not hardly_learned([0.051, -1.0])
    assert not hardly_learned([])


@pytest.mark.parametrize("losses", [[], [1.0], [math.inf, 1.0], [1.0, math.nan], [0.0, 1.0]])
def test_what_was_learned_is_unknown_where_a_share_cannot_be_taken(losses: list[float]) -> None:
    assert learned(losses) is None


def test_what_was_learned_is_a_share_of_the_first_loss() -> None:
    assert learned([2.0, 5.0, 0.5]) == 0.75
    assert learned([-2.0, -3.0]) == 0.5
