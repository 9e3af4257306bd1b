import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lrstudy.analysis.bands import levels_band
from lrstudy.analysis.resampling import sign_flip_p
from lrstudy.analysis.speedup import Speedup, ert_ratio, paired_speedup, paired_variation

HORIZON = 40.0


def compare(
    reference: list[float],
    schedule: list[float],
    horizon: float = HORIZON,
    resolution: float = 1.0,
    seed: int = 0,
) -> Speedup:
    """The speedup of runs that hit whenever they are below the horizon."""
    r, s = np.array(reference, dtype=float), np.array(schedule, dtype=float)
    return paired_speedup(
        r,
        s,
        horizon=horizon,
        resolution=resolution,
        reference_hits=r < horizon,
        schedule_hits=s < horizon,
        seed=seed,
    )


REFERENCE = [20.0, 24.0, 22.0, 30.0, 26.0, 21.0, 25.0, 28.0]
SCHEDULE = [15.0, 16.0, 18.0, 20.0, 19.0, 14.0, 18.0, 21.0]


def test_ratio_above_one_means_faster_than_the_reference() -> None:
    found = compare(REFERENCE, SCHEDULE)
    assert found.ratio == pytest.approx(sum(REFERENCE) / sum(SCHEDULE))
    assert found.low is not None
    assert found.high is not None
    assert 1 < found.low < found.ratio < found.high
    assert found.pairs == 8
    assert found.note == ""


times = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=16)


@given(times)
@settings(max_examples=60, deadline=None)
def test_swapping_the_roles_inverts_ratio_and_p_value_and_the_interval_holds_the_ratio(
    pairs: list[tuple[int, int]],
) -> None:
    r, s = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    there, back = compare(r, s), compare(s, r)
    assert there.ratio is not None
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert back.p_value == there.p_value
    if there.low is None or there.high is None:
        assert all(t == HORIZON for t in r + s)
        return
    # Never of zero width, however alike the runs.
    assert there.low <= there.ratio <= there.high
    assert there.low < there.high
    assert back.low is not None
    assert back.high is not None
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low), rel=1e-6)


@given(times, st.floats(0.01, 1000))
@settings(max_examples=30, deadline=None)
def test_the_unit_of_time_does_not_matter(pairs: list[tuple[int, int]], unit: float) -> None:
    r, s = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    there = compare(r, s)
    scaled = compare([unit * a for a in r], [unit * b for b in s], unit * HORIZON, unit)
    for a, b in ((there.ratio, scaled.ratio), (there.low, scaled.low), (there.high, scaled.high)):
        assert a == pytest.approx(b, rel=1e-6)


def test_the_same_seed_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(1)
    long = list(rng.integers(10, 30, 20)), list(rng.integers(10, 30, 20))
    assert compare(*long, seed=3) == compare(*long, seed=3)
    assert compare(*long, seed=3) != compare(*long, seed=4)


def test_runs_without_spread_are_widened_to_one_evaluation_and_say_so() -> None:
    found = compare([20.0] * 5, [16.0] * 5, resolution=2.0)
    assert found.ratio == 1.25
    # All hits may have come up to two epochs earlier, the schedule's or the reference's.
    assert (found.low, found.high) == pytest.approx((18 / 16, 20 / 14))
    assert "between two evaluations" in found.note


def test_a_hit_at_the_first_evaluation_leaves_finite_limits() -> None:
    found = compare([1.0] * 4, [1.0] * 4)
    assert (found.low, found.high) == (0.5, 2.0)


def test_a_miss_is_not_widened() -> None:
    # The reference never hits: only the schedule's hits may have come earlier.
    found = compare([HORIZON] * 4, [20.0] * 4, resolution=2.0)
    assert found.ratio == 2.0
    assert (found.low, found.high) == pytest.approx((2.0, 40 / 18))


def test_pairs_that_both_missed_leave_a_larger_effect_open() -> None:
    # One early hit in six: without the missed pairs' share in the spread the t limit would be the upper one.
    r, s = np.full(6, HORIZON), np.array([16.0, *[HORIZON] * 5])
    found = compare(list(r), list(s))
    half = stats.t.ppf(0.975, 5) * (r / r.mean() - s / s.mean()).std(ddof=1) / math.sqrt(6)
    assert found.ratio is not None
    assert found.high is not None
    assert found.high > 1.2 * found.ratio * math.exp(half)


def test_too_little_to_compare_gives_no_limits_but_a_sentence() -> None:
    none, one = compare([], []), compare([20.0], [10.0])
    assert (none.ratio, none.low, none.p_value, none.pairs) == (None, None, None, 0)
    assert (one.ratio, one.low, one.high, one.p_value, one.pairs) == (2.0, None, None, None, 1)
    assert none.note
    assert one.note
    missed = compare([HORIZON] * 5, [HORIZON] * 5)
    assert (missed.ratio, missed.low, missed.high, missed.p_value) == (1.0, None, None, 1.0)
    assert "reached the target" in missed.note


@pytest.mark.parametrize("bad", [[0.0, 1.0], [41.0, 1.0], [math.nan, 1.0], [1.0]])
def test_impossible_times_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"restricted times|paired"):
        compare(bad, [1.0, 2.0])


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9))
def test_sign_flip_is_exact_for_few_pairs(differences: list[int]) -> None:
    d = np.array(differences, dtype=float)
    means = [
        abs(sum(s * x for s, x in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    assert sign_flip_p(d, 0) == sum(m >= abs(sum(differences)) for m in means) / len(means)


def test_sign_flip_agrees_with_scipy_beyond_enumeration() -> None:
    d = np.random.default_rng(5).normal(0.5, 1, 15).round(1)
    exact = stats.permutation_test(
        (d,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    # 9,999 flips: a standard error of 0.005 at most.
    assert sign_flip_p(d, 0) == pytest.approx(exact.pvalue, abs=0.015)
    # No sampled pattern of 2^40 is as extreme: only the observed one counts.
    assert sign_flip_p(np.full(40, 1.0), 0) == 1 / 10_000


def test_the_p_value_is_the_larger_of_sign_flip_and_t_test() -> None:
    # The reference hardly varies, the schedule is quick but for one run: the two tests differ.
    r = np.array([20.0, 21, 20, 19, 20, 21, 20, 19])
    s = np.array([8.0, 9, 10, 9, 8, 10, 9, 27])
    error = (r / r.mean() - s / s.mean()).std(ddof=1) / math.sqrt(8)
    t_test = 2 * stats.t.sf(math.log(r.mean() / s.mean()) / error, 7)
    assert compare(list(r), list(s)).p_value == pytest.approx(t_test)
    assert sign_flip_p(r - s, 0) == 4 / 256 < t_test
    # With a spread that both share the sign flips are the stricter test of few pairs.
    few = [10.0, 11, 12, 13, 14], [5.0, 5.5, 6, 6.6, 7]
    assert compare(*few).p_value == sign_flip_p(np.subtract(*few), 0) == 2 / 32


@given(times)
@settings(max_examples=60, deadline=None)
def test_the_t_test_may_only_raise_the_p_value_of_the_sign_flips(pairs: list[tuple[int, int]]) -> None:
    r, s = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = compare(r, s).p_value
    assert found is not None
    assert sign_flip_p(np.subtract(r, s), 0) <= found <= 1


def test_ten_seeds_survive_holm_over_four_schedules() -> None:
    p = sign_flip_p(np.arange(1.0, 11.0), 0)
    assert p == 2 / 1024
    assert 4 * p < 0.05


def test_coverage_on_a_small_simulation() -> None:
    # The bench's claim in small (400 studies of 10 pairs, 20% of the reference's runs censored).
    rng = np.random.default_rng(7)

    def draw(n: int, studies: int) -> tuple[np.ndarray, np.ndarray]:
        shared = rng.standard_normal((studies, n))
        z = [np.sqrt(0.5) * (shared + rng.standard_normal((studies, n))) for _ in range(2)]
        return tuple(
            np.minimum(np.ceil(m * np.exp(0.3 * x)), HORIZON) for m, x in zip((30, 24), z, strict=True)
        )

    big = draw(200_000, 1)
    truth = big[0].mean() / big[1].mean()
    found = [compare(list(r), list(s)) for r, s in zip(*draw(10, 400), strict=True)]
    covered = np.mean([f.low <= truth <= f.high for f in found if f.low is not None and f.high is not None])
    assert 0.91 <= covered <= 0.99


def test_paired_variation_by_hand() -> None:
    # r / 20 - s / 10 = 0.5 - 0.8, 1.5 - 1.2
    assert paired_variation([10.0, 30.0], [8.0, 12.0]) == pytest.approx(np.std([-0.3, 0.3], ddof=1))
    assert paired_variation([1.0], [1.0]) is None


def test_ert_ratio_counts_what_misses_spent() -> None:
    hits = [True, True, True, False]
    found = ert_ratio([10, 12, 14, 20], hits, [5, 6, 7, 10], [True, True, True, True], seed=0)
    # 56 / 3 against 28 / 4.
    assert found.ratio == pytest.approx((56 / 3) / 7)
    assert found.low is not None
    assert found.low < found.ratio
    assert found.high is None  # some resamples hold only the reference's miss
    assert found.note


def test_ert_ratio_with_all_hits_has_two_limits_near_the_restricted_ones() -> None:
    hits = [True] * 8
    found, means = ert_ratio(REFERENCE, hits, SCHEDULE, hits, seed=0), compare(REFERENCE, SCHEDULE)
    assert found.ratio == pytest.approx(means.ratio)
    assert found.low == pytest.approx(means.low, rel=0.05)
    assert found.high == pytest.approx(means.high, rel=0.05)


@pytest.mark.parametrize(("reference", "schedule"), [(False, True), (True, False), (False, False)])
def test_ert_ratio_without_a_hit_is_none(reference: bool, schedule: bool) -> None:
    found = ert_ratio([9, 9], [reference] * 2, [9, 9], [schedule] * 2, seed=0)
    assert (found.ratio, found.low, found.high) == (None, None, None)
    assert "schedule" in found.note if reference else "reference" in found.note or not schedule


def levels(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """Hit times that grow with the level, capped at the horizon."""
    return np.minimum(rng.integers(3, 12, (n, count)).cumsum(axis=1), HORIZON).astype(float)


def test_the_band_is_simultaneous_so_wider_than_each_levels_own_interval() -> None:
    rng = np.random.default_rng(2)
    r, s = levels(rng, 10, 4), levels(rng, 10, 4)
    band = levels_band(r, s, HORIZON, 1.0, 0)
    alone = [levels_band(r[:, [k]], s[:, [k]], HORIZON, 1.0, 0) for k in range(4)]
    assert band.ratio == pytest.approx([float(a.ratio[0]) for a in alone])
    widths = np.log(band.high / band.low)
    own = np.array([float(np.log(a.high / a.low)[0]) for a in alone])
    assert (widths >= own - 1e-12).all()
    assert widths.sum() > own.sum()
    assert ((band.low <= band.ratio) & (band.ratio <= band.high)).all()


def test_the_band_covers_all_levels_at_once() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        # Both sides are alike, so the truth is 1 at every level.
        band = levels_band(levels(rng, 10, 4), levels(rng, 10, 4), HORIZON, 1.0, 0)
        covered += bool(((band.low <= 1) & (band.high >= 1)).all())
    assert covered / 200 >= 0.92


def test_levels_that_nobody_reached_and_single_seeds_have_no_limits() -> None:
    r = np.array([[5.0, HORIZON], [6.0, HORIZON], [9.0, HORIZON]])
    band = levels_band(r, r[::-1], HORIZON, 1.0, 0)
    assert np.isnan(band.low).tolist() == [False, True]
    one = levels_band(r[:1], r[1:2], HORIZON, 1.0, 0)
    assert one.ratio == pytest.approx([5 / 6, 1.0])
    assert np.isnan(one.high).all()
    assert np.isnan(levels_band(r[:0], r[:0], HORIZON, 1.0, 0).ratio).all()
    with pytest.raises(ValueError, match="shape"):
        levels_band(r, r[:2], HORIZON, 1.0, 0)
    with pytest.raises(ValueError, match="restricted times"):
        levels_band(2 * r, r, HORIZON, 1.0, 0)
