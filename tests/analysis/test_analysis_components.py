"""Where times vary, and what would decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_samples import Sample, rising
from scipy import stats

from lrstudy.analysis.components import (
    Components,
    best_seeds_per_tuning,
    components_of,
    power,
    replicates_to_decide,
)
from lrstudy.analysis.study_contest import contest_of

DIGITS = Components(seed=0.12, tuning=0.06, split=0.1, replicates=8)


def simulated(replicates: int, seeds: int) -> Sample:
    """Log times with standard deviations .3 between seeds, .25 between tunings and .4 between splits."""
    rng = np.random.default_rng(7)
    names = ("fixed", "step", "cosine")
    sample = Sample({name: {"lr": [0.1, 0.2]} for name in names}, targets=[0.9], epochs_budget=400)
    splits = rng.normal(0, 0.4, replicates)
    for name in names:
        for number in range(replicates):
            for value in (0.1, 0.2):
                params, key = {"lr": value}, {"phase": "tune", "replicate": number + 1}
                sample.add(name, [0.95], seed=0, params=params, **key)  # type: ignore[arg-type]
            centre = math.log(40) + splits[number] + rng.normal(0, 0.25)
            for seed in range(seeds):
                hit_at = min(400, math.ceil(math.exp(centre + rng.normal(0, 0.3))))
                values = rising(hit_at, hit_at)
                sample.add(name, values, seed=seed, replicate=number + 1, params={"lr": 0.1})
    return sample


def test_the_components_of_a_simulated_study_are_those_put_in() -> None:
    contest = contest_of(simulated(40, 5)).contest
    found = components_of(contest, 0.9)
    assert found.seed is not None
    assert found.tuning is not None
    assert found.split is not None
    assert math.sqrt(found.seed) == pytest.approx(0.3, abs=0.03)
    assert math.sqrt(found.tuning) == pytest.approx(0.25, abs=0.06)
    assert math.sqrt(found.split) == pytest.approx(0.4, abs=0.12)
    assert found.replicates == 40


def test_one_replicate_does_not_tell_splits_apart() -> None:
    found = components_of(contest_of(simulated(1, 5)).contest, 0.9)
    assert found.split is None
    assert found.tuning is not None
    assert "splits" not in found.sentence(5)


def test_the_sentence_says_what_to_buy() -> None:
    assert DIGITS.sentence(10) == (
        "Standard deviation of the log time: 0.35 between seeds, 0.24 between tunings of a schedule and 0.32 "
        "between splits of the data. Tuning makes 83% of the error of a comparison: more replicates narrow "
        "it, more confirm seeds hardly."
    )
    assert "Seeds make 67% of the error" in DIGITS.sentence(1)
    assert Components(None, None, None, 0).sentence(5) == ""


def test_power_is_that_of_the_noncentral_t() -> None:
    # One comparison: a paired t-test with R - 1 degrees of freedom.
    noncentral = math.log(1.5) / math.sqrt(2 * (0.06 + 0.12 / 3) / 8)
    golden = stats.nct.sf(stats.t.ppf(0.98, 7), 7, noncentral)
    assert power(DIGITS, 1.5, replicates=8, seeds=3) == pytest.approx(golden)
    assert power(DIGITS, 1 / 1.5, replicates=8, seeds=3) == pytest.approx(golden)
    assert power(DIGITS, 1.5, replicates=16, seeds=3) > golden > power(DIGITS, 1.5, replicates=1, seeds=100)
    assert power(Components(0.1, None, None, 1), 1.5, replicates=8, seeds=3) == 0.0


def test_the_replicates_that_decide_have_the_power_they_promise() -> None:
    variance = DIGITS.difference(3)
    assert variance is not None
    needed = replicates_to_decide(math.log(1.3), variance, 0.05, comparisons=4)
    assert needed is not None
    at, before = (power(DIGITS, 1.3, replicates=r, seeds=3, comparisons=4) for r in (needed, needed - 2))
    assert at == pytest.approx(0.8, abs=0.02)
    assert before < at
    assert replicates_to_decide(0.0, variance, 0.0) is None
    equivalent = replicates_to_decide(0.0, 0.001, 0.05)
    assert equivalent is not None
    assert equivalent < 20


def test_the_best_number_of_seeds_has_the_smallest_variance_for_the_cost() -> None:
    best = best_seeds_per_tuning(DIGITS, tuning_cost=80, seed_cost=6)
    cost = {k: (0.06 + 0.12 / k) * (80 + 6 * k) for k in range(1, 40)}
    assert best == min(cost, key=lambda k: cost[k])
    assert best_seeds_per_tuning(Components(0.1, 0.0, None, 8), 80, 6) is None
