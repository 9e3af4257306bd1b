"""The speedups that a plan says it can show, by simulation, and better splits of its budget."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lrstudy.analysis.components import Components
from lrstudy.analysis.study_power import TYPICAL, Design, best_split, cheapest_for, shown_speedups


def test_four_of_five_simulated_studies_find_the_speedup() -> None:
    design = Design(replicates=10, trials=16, seeds=3, comparisons=1)
    _, speedup = shown_speedups(design, TYPICAL)
    rng = np.random.default_rng(0)
    assert TYPICAL.seed is not None
    assert TYPICAL.tuning is not None
    spread = math.sqrt(2 * (TYPICAL.tuning + TYPICAL.seed / 3))
    differences = rng.normal(math.log(speedup), spread, size=(4000, 10))
    found = stats.ttest_1samp(differences, 0, axis=1).pvalue < design.level
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_one_tuning_shows_large_differences_only_and_more_seeds_hardly_help() -> None:
    one = Design(replicates=1, trials=16, seeds=10, comparisons=4)
    hundred = Design(replicates=1, trials=16, seeds=100, comparisons=4)
    eight = Design(replicates=8, trials=16, seeds=3, comparisons=4)
    shown = [shown_speedups(each, TYPICAL)[1] for each in (one, hundred, eight)]
    assert shown[0] > 3
    assert shown[1] > 3
    assert shown[2] < 2


def test_looks_cost_a_little_of_the_last_and_the_first_shows_less() -> None:
    decided = Design(replicates=8, trials=16, seeds=3, comparisons=4, most=32)
    fixed = Design(replicates=32, trials=16, seeds=3, comparisons=4)
    first, last = shown_speedups(decided, TYPICAL)
    only = shown_speedups(fixed, TYPICAL)[1]
    assert only < last < first
    assert last < 1.1 * only


def test_a_better_split_costs_no_more_and_shows_no_less() -> None:
    wasteful = Design(replicates=8, trials=4, seeds=20, comparisons=4)
    better = best_split(wasteful, TYPICAL)
    assert better.cost <= wasteful.cost(8, 20)
    assert better.replicates > 8
    assert better.speedup < shown_speedups(wasteful, TYPICAL)[1]


def test_seeds_are_bought_where_they_vary_and_tunings_where_those_do() -> None:
    design = Design(replicates=8, trials=16, seeds=3, comparisons=4)
    calm = best_split(design, Components(seed=0.01, tuning=0.2, split=0.1, replicates=8))
    noisy = best_split(design, Components(seed=0.5, tuning=0.01, split=0.1, replicates=8))
    assert calm.seeds < noisy.seeds
    assert calm.replicates > noisy.replicates


def test_the_cheapest_for_a_speedup_shows_it() -> None:
    one = Design(replicates=1, trials=16, seeds=10, comparisons=4)
    found = cheapest_for(one, TYPICAL, 2.0)
    assert found is not None
    assert found.speedup <= 2
    assert found.replicates > 4
    assert cheapest_for(one, TYPICAL, 1.01) is None
