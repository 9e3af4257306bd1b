import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.analysis.profiles import performance_profiles

MISS = math.inf
# Three methods on four tasks; the last task is solved by nobody.
TIMES = [[10.0, 20.0, MISS], [30.0, 10.0, 50.0], [8.0, 8.0, 16.0], [MISS, MISS, MISS]]


def rho(profiles, method: int, tau: float) -> float:
    return float(profiles.rho[method, np.searchsorted(profiles.tau, tau, side="right") - 1])


def test_profile_on_a_hand_worked_matrix_with_misses() -> None:
    p = performance_profiles(TIMES)
    assert p.ratio.tolist() == [[1, 2, MISS], [3, 1, 5], [1, 1, 2], [MISS, MISS, MISS]]
    assert p.tau.tolist() == [1, 2, 3, 4]
    assert [rho(p, 0, t) for t in (1, 2.9, 3, 4)] == [0.5, 0.5, 0.75, 0.75]
    assert [rho(p, 1, t) for t in (1, 2, 4)] == [0.5, 0.75, 0.75]
    assert [rho(p, 2, t) for t in (1, 2, 4)] == [0.0, 0.25, 0.25]
    # Areas of (4 - ratio) over 3 and 4 tasks: (3 + 1 + 3) / 12, (2 + 3 + 3) / 12, 2 / 12.
    assert p.score == pytest.approx([7 / 12, 8 / 12, 2 / 12])


def test_nan_is_a_miss_and_the_order_of_tasks_does_not_matter() -> None:
    with_nan = [[math.nan if t == MISS else t for t in row] for row in TIMES[::-1]]
    assert performance_profiles(with_nan).score.tolist() == performance_profiles(TIMES).score.tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5), st.floats(1.5, 6), st.floats(0.1, 10))
def test_score_is_the_integral_of_the_profile_and_the_unit_does_not_matter(
    seed: int, tasks: int, methods: int, r_max: float, unit: float
) -> None:
    rng = np.random.default_rng(seed)
    times = rng.integers(1, 12, (tasks, methods)).astype(float)
    times[rng.random(times.shape) < 0.3] = MISS
    p = performance_profiles(times, r_max)
    integral = (p.rho[:, :-1] * np.diff(p.tau)).sum(axis=1) / (r_max - 1)
    assert p.score == pytest.approx(integral)
    assert ((p.score >= 0) & (p.score <= 1)).all()
    assert (np.diff(p.rho, axis=1) >= 0).all()
    assert performance_profiles(unit * times, r_max).score == pytest.approx(p.score)


@pytest.mark.parametrize("bad", [[[1.0, 0.0]], [[1.0, -2.0]], [1.0, 2.0], np.empty((0, 2))])
def test_impossible_matrices_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"positive|shape"):
        performance_profiles(bad)  # type: ignore[arg-type]  # the parametrised matrices are of several types


def test_a_method_that_is_best_everywhere_scores_exactly_one() -> None:
    times = [[1.25, 1.0], [2.0, 1.0], [4.0, 1.0], [MISS, 1.0], [MISS, 1.0]]
    assert performance_profiles(times, 4.443190710293463).score[1] == 1


def test_a_ratio_limit_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="r_max"):
        performance_profiles(TIMES, 1.0)


def test_what_a_method_did_not_run_is_no_miss() -> None:
    found = performance_profiles(
        [[1.0, 2.0, np.nan], [3.0, 1.0, np.nan]], took_part=[[True, True, False], [True, False, False]]
    )
    # Hand-worked: the second method ran the first task only, at twice the best time.
    assert found.score[:2] == pytest.approx([(1 + (4 - 3) / 3) / 2, (4 - 2) / 3])
    assert found.rho[1].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert np.isnan(found.score[2])
    assert np.isnan(found.rho[2]).all()
