"""Looks at a growing study: the error spent, and what a comparison may still show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from analysis_samples import Sample
from scipy import stats

from lrstudy.analysis.sequential_test import chance_to_decide, levels, overall_p, sizes_of


def test_a_study_of_fixed_size_has_no_looks_and_one_replicate_is_none() -> None:
    def looks(**budget: Any) -> tuple[int, ...]:
        sample = Sample({"fixed": {}}, targets=[0.9], budget=budget)
        return sizes_of(sample.study)

    assert looks(replicates=4) == ()
    assert looks(replicates=4, until="decided", most=20) == (4, 8, 16, 20)
    assert looks(replicates=1, until="decided", most=4) == (2, 4)


def test_two_looks_agree_with_the_bivariate_normal() -> None:
    first, second = levels((4, 8), 0.05)
    assert first == pytest.approx(0.025, abs=1e-8)
    z = stats.norm.isf(np.array([first, second]) / 2)
    law = stats.multivariate_normal(cov=[[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]])
    assert law.cdf(z, lower_limit=-z) == pytest.approx(0.95, abs=1e-5)


@pytest.mark.parametrize("looks", [(4,), (4, 8, 16), (2, 4, 8, 16, 32, 48)])
def test_the_level_holds_over_all_looks(looks: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    steps = np.diff(np.array(looks), prepend=0)
    walk = np.cumsum(rng.standard_normal((200_000, len(looks))) * np.sqrt(steps), axis=1)
    p_values = 2 * stats.norm.sf(np.abs(walk / np.sqrt(looks)))
    rejected = (p_values <= np.array(levels(looks, 0.05))).any(axis=1).mean()
    assert rejected == pytest.approx(0.05, abs=0.0016)


def test_a_rejection_at_a_look_is_an_overall_p_at_most_the_level() -> None:
    looks = (4, 8, 16)
    for level in (0.05, 0.01):
        for place, limit in enumerate(levels(looks, level)):
            seen = [0.9] * place + [limit]
            assert overall_p(seen, looks) == pytest.approx(level, rel=1e-3)


def test_the_overall_p_never_grows_with_further_looks_and_is_p_for_one() -> None:
    assert overall_p([0.03], (8,)) == 0.03
    assert overall_p([None], (8,)) is None
    first = overall_p([0.004], (4, 8, 16))
    assert first is not None
    assert overall_p([0.004, 0.9, 0.9], (4, 8, 16)) == first
    assert overall_p([None, 0.004], (4, 8, 16)) == pytest.approx(overall_p([0.9, 0.004], (4, 8, 16)))
    assert overall_p([1.0], (4, 8, 16)) == 1.0
    tiny = overall_p([1e-30], (4, 8))
    assert tiny == pytest.approx(2e-30, rel=1e-3)


def test_the_chance_to_decide_is_that_of_simulated_last_looks() -> None:
    rng = np.random.default_rng(2)
    effect, error, share, level = 0.2, 0.15, 0.25, 0.01
    truth = effect + error * rng.standard_t(12, 400_000)
    later = rng.normal(truth, error * math.sqrt(share / (1 - share)))
    last = share * effect + (1 - share) * later
    decided = np.abs(last) > stats.norm.isf(level / 2) * error * math.sqrt(share)
    predicted = chance_to_decide(effect, error, 12, share, level, margin=0.0)
    assert predicted == pytest.approx(decided.mean(), abs=0.03)


def test_a_small_spread_leaves_a_chance_of_equivalence() -> None:
    hopeless = chance_to_decide(0.0, 0.1, 20, 0.5, 0.01, margin=0.0)
    assert hopeless < 0.05
    assert chance_to_decide(0.0, 0.02, 20, 0.5, 0.05, margin=0.05) > 0.85
    # The test of equivalence has the level of the other.
    assert 0.6 < chance_to_decide(0.0, 0.02, 20, 0.5, 0.01, margin=0.05) < 0.7
