"""Runs in replicates share a tuning and a split: what is said of them counts replicates, not runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lrstudy.analysis.clusters import hit_rate, over_replicates, unit_means, unit_sums
from lrstudy.analysis.intervals import wilson
from lrstudy.analysis.survival import kaplan_meier

REPLICATES = [1, 1, 2, 2, 3, 3]


def test_units_are_runs_of_one_replicate_and_means_of_several() -> None:
    values = [1.0, 3.0, math.nan, 4.0, math.nan, math.nan]
    assert unit_means(values, [1] * 6) == pytest.approx(values, nan_ok=True)
    assert unit_means(values, REPLICATES) == pytest.approx([2.0, 4.0, math.nan], nan_ok=True)
    assert unit_sums([1, 2, 3, 4, 5, 6], REPLICATES) == pytest.approx([3, 7, 11])
    assert unit_sums([1, 2, 3, 4, 5, 6], [1] * 6) == pytest.approx([1, 2, 3, 4, 5, 6])


def test_a_table_is_averaged_column_by_column() -> None:
    table = np.arange(12.0).reshape(6, 2)
    assert unit_means(table, REPLICATES) == pytest.approx(np.array([[1.0, 2.0], [5.0, 6.0], [9.0, 10.0]]))


def test_the_share_of_hits_is_known_worse_where_replicates_hit_as_one() -> None:
    hits = np.array([True, True, False, False] * 6)
    alone = hit_rate(hits, [1] * 24, 0.95)
    assert alone == wilson(12, 24, 0.95)
    pairs = hit_rate(hits, [place // 2 for place in range(24)], 0.95)
    assert pairs.value == alone.value == 0.5
    assert pairs.low is not None
    assert alone.low is not None
    assert pairs.low < alone.low
    # As of 11 runs, not 24 (12 replicates that hit or miss as one), with Student's quantile.
    quantile = stats.t.ppf(0.975, 11)
    assert pairs.low == pytest.approx(wilson(5.5, 11, 2 * stats.norm.cdf(quantile) - 1).low, abs=1e-6)


def test_limits_of_the_share_over_time_widen_and_stay_shares() -> None:
    times = np.array([3.0, 3, 5, 5, 8, 8, 9, 9])
    hits = np.array([True] * 6 + [False] * 2)
    alone = kaplan_meier(times, hits)
    found = over_replicates(alone, times, hits, [1, 1, 2, 2, 3, 3, 4, 4], 0.95)
    inner = (alone.survival > 0) & (alone.survival < 1)
    assert (found.low[inner] < alone.low[inner]).all()
    assert (found.high[inner] > alone.high[inner]).all()
    assert ((found.low >= 0) & (found.high <= 1)).all()
    assert over_replicates(alone, times, hits, [1] * 8, 0.95) is alone


def test_intervals_of_clustered_runs_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    replicates = [place // 5 for place in range(40)]
    covered = naive = 0
    for _ in range(1500):
        chance = np.repeat(rng.beta(1, 1, 8), 5)
        hits = rng.uniform(size=40) < chance
        found, alone = hit_rate(hits, replicates, 0.95), wilson(int(hits.sum()), 40)
        covered += (found.low or 0) <= 0.5 <= (found.high or 0)
        naive += (alone.low or 0) <= 0.5 <= (alone.high or 0)
    assert 0.92 < covered / 1500 < 0.98
    assert naive / 1500 < 0.9
