import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrstudy.analysis.resampling import sign_flip_p
from lrstudy.analysis.speedup import Speedup
from lrstudy.analysis.verdict import decide, detectable_speedup, fewest_seeds, seeds_to_decide


def verdict(
    low: float | None,
    high: float | None,
    p: float | None = 0.01,
    hits: int = 10,
    reference_hits: int = 10,
    margin: float = 0.05,
) -> str:
    ratio = None if low is None or high is None else math.sqrt(low * high)
    speedup = Speedup(ratio, low, high, p, 10)
    return decide(speedup, p, hits=hits, reference_hits=reference_hits, runs=10, margin=margin)


def test_each_verdict() -> None:
    assert verdict(1.1, 1.4) == "faster"
    assert verdict(0.6, 0.9) == "slower"
    assert verdict(0.96, 1.04) == "equivalent"
    assert verdict(0.9, 1.4) == "inconclusive"
    assert verdict(1.1, 1.4, hits=0) == "never"
    assert verdict(None, None) == "inconclusive"


def test_an_interval_alone_is_not_enough_without_the_adjusted_test() -> None:
    assert verdict(1.1, 1.4, p=0.051) == "inconclusive"
    assert verdict(1.1, 1.4, p=0.05) == "faster"
    assert verdict(1.1, 1.4, p=None) == "inconclusive"


def test_a_test_alone_is_not_enough_without_the_interval() -> None:
    assert verdict(1.0, 1.4, p=0.001) == "inconclusive"


def test_a_difference_inside_the_margin_is_equivalent_however_significant() -> None:
    assert verdict(1.01, 1.04, p=0.0001) == "equivalent"
    assert verdict(1.01, 1.04, p=0.0001, margin=0.0) == "faster"


def test_the_margin_is_the_same_whichever_side_is_the_reference() -> None:
    assert verdict(0.951, 1 / 0.951) == "equivalent"
    assert verdict(0.949, 1.0) == "inconclusive"
    assert verdict(1.0, 1 / 0.949) == "inconclusive"


def test_schedules_that_mostly_miss_are_not_called_equivalent() -> None:
    assert verdict(0.98, 1.02, hits=1, reference_hits=1) == "inconclusive"
    assert verdict(0.98, 1.02, hits=5, reference_hits=5) == "equivalent"
    assert verdict(0.98, 1.02, hits=10, reference_hits=4) == "inconclusive"


def test_a_reference_that_never_hits_can_be_beaten() -> None:
    assert verdict(1.5, 2.0, hits=10, reference_hits=0) == "faster"


def test_a_margin_of_all_or_less_than_none_is_refused() -> None:
    for margin in (-0.1, 1.0):
        with pytest.raises(ValueError, match="margin"):
            verdict(1.1, 1.2, margin=margin)


@given(st.integers(1, 12))
def test_fewest_seeds_is_the_first_number_whose_smallest_p_survives(comparisons: int) -> None:
    n = fewest_seeds(comparisons)
    smallest = [comparisons * sign_flip_p(np.arange(1.0, k + 1), 0) for k in (n - 1, n) if k <= 12]
    assert smallest[0] > 0.04
    assert all(p <= 0.04 for p in smallest[1:])


def test_seeds_to_decide_shrinks_with_the_effect_and_reaches_the_power_it_promises() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(12)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    reference = 30 + 6 * noise
    small, large = (seeds_to_decide(reference, np.full(12, 30 / g), 0.0) for g in (1.1, 1.3))
    assert small is not None
    assert large is not None
    assert large < small
    # cv is 0.2 by construction: the power of a t-test at that n is 80%, not yet at one seed fewer.
    effect = math.log(1.1) / 0.2

    def power(n: int) -> float:
        return float(stats.nct.sf(stats.t.ppf(0.98, n - 1), n - 1, effect * math.sqrt(n)))

    assert power(small) >= 0.795
    assert power(small - 2) < 0.8


def test_an_effect_inside_the_margin_is_decided_by_showing_equivalence() -> None:
    r = np.array([20.0, 22.0, 24.0, 26.0, 28.0])
    s = r[::-1].copy()
    assert seeds_to_decide(r, s, 0.0) is None  # exactly equal means: no number of seeds shows a difference
    wide, narrow = seeds_to_decide(r, s, 0.2), seeds_to_decide(r, s, 0.05)
    assert wide is not None
    assert narrow is not None
    assert wide < narrow


def test_more_comparisons_need_more_seeds() -> None:
    r, s = np.array([30.0, 33.0, 27.0, 31.0, 29.0]), np.array([15.0, 14.0, 16.0, 15.5, 14.5])
    assert seeds_to_decide(r, s, 0.05) == fewest_seeds(1)
    assert seeds_to_decide(r, s, 0.05, comparisons=4) == fewest_seeds(4)


def test_seeds_that_cannot_be_told_are_none() -> None:
    assert seeds_to_decide([5.0], [4.0], 0.05) is None
    assert seeds_to_decide([5.0, 5.0], [4.0, 4.0], 0.05) is None
    assert seeds_to_decide([], [], 0.05) is None


def test_detectable_speedup_has_the_power_it_promises() -> None:
    n, cv = 10, 0.3
    effect = math.log(detectable_speedup(n, cv)) / cv
    power = stats.nct.sf(stats.t.ppf(0.98, n - 1), n - 1, effect * math.sqrt(n))
    assert power == pytest.approx(0.8, abs=0.03)


def test_detectable_speedup_at_the_ends() -> None:
    assert detectable_speedup(1, 0.3) == math.inf
    assert detectable_speedup(6, 5000.0) == math.inf
    assert detectable_speedup(7, 0.3, comparisons=4) == math.inf  # 4 * 2 / 2^7 > 0.04
    assert detectable_speedup(8, 0.3, comparisons=4) < math.inf
    assert detectable_speedup(10, 0.0) == 1.0
    assert detectable_speedup(20, 0.3) < detectable_speedup(10, 0.3)
    with pytest.raises(ValueError, match="cv"):
        detectable_speedup(10, -1.0)


def test_no_number_of_seeds_outweighs_the_luck_of_the_tuning() -> None:
    rng = np.random.default_rng(0)
    reference, schedule = rng.normal(12, 2, 10), rng.normal(9, 2, 10)
    few = seeds_to_decide(reference, schedule, 0.05)
    more = seeds_to_decide(reference, schedule, 0.05, tuning_variance=0.005)
    assert few is not None
    assert more is not None
    assert few < more
    assert seeds_to_decide(reference, schedule, 0.0, tuning_variance=0.04) is None


def test_luck_that_is_known_with_few_degrees_of_freedom_needs_more_seeds() -> None:
    rng = np.random.default_rng(0)
    reference, schedule = rng.normal(12, 2, 10), rng.normal(9, 2, 10)
    known = seeds_to_decide(reference, schedule, 0.05, tuning_variance=0.003)
    unsure = seeds_to_decide(reference, schedule, 0.05, tuning_variance=0.003, tuning_degrees=6)
    assert known is not None
    assert unsure is not None
    assert known < unsure


def test_luck_of_the_tuning_keeps_equivalence_from_being_shown_by_seeds() -> None:
    r = np.array([20.0, 22.0, 24.0, 26.0, 28.0])
    assert seeds_to_decide(r, r[::-1], 0.2) is not None
    assert seeds_to_decide(r, r[::-1], 0.2, tuning_variance=0.04) is None
