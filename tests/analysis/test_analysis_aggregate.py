import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrstudy.analysis.aggregate import interquartile_mean, probability_of_improvement

scores = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


@given(scores)
def test_interquartile_mean_is_rliables_trimmed_mean(values: list[float]) -> None:
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-9)


def test_interquartile_mean_pools_runs_and_tasks_as_rliable_does() -> None:
    matrix = np.arange(12.0).reshape(4, 3)
    assert interquartile_mean(matrix) == pytest.approx(stats.trim_mean(matrix, 0.25, axis=None))


def test_a_miss_counts_only_inside_the_middle_half() -> None:
    assert interquartile_mean([1.0, 2.0, 3.0, math.inf]) == 2.5
    assert interquartile_mean([1.0, 2.0, math.inf, math.inf]) == math.inf
    assert interquartile_mean([]) is None
    with pytest.raises(ValueError, match="NaN"):
        interquartile_mean([1.0, math.nan])


def rliable_probability(x: np.ndarray, y: np.ndarray) -> float:
    """rliable's definition: per task U / (runs of x * runs of y), then the mean over tasks."""
    return float(
        np.mean(
            [stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(x.T, y.T, strict=True)]
        )
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_probability_of_improvement_is_rliables(seed: int, nx: int, ny: int, tasks: int) -> None:
    rng = np.random.default_rng(seed)
    # Few distinct values, so that there are ties.
    x, y = rng.integers(0, 4, (nx, tasks)), rng.integers(0, 4, (ny, tasks))
    assert probability_of_improvement(x, y) == pytest.approx(rliable_probability(x, y))


def test_probability_of_improvement_by_hand() -> None:
    # Of 6 pairs (3 > 1, 3 > 2, 3 = 3, 1 = 1, 1 < 2, 1 < 3): 2 wins and 2 ties.
    assert probability_of_improvement([3, 1], [1, 2, 3]) == pytest.approx(3 / 6)
    assert probability_of_improvement([], [1.0]) is None
    with pytest.raises(ValueError, match="tasks"):
        probability_of_improvement(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="NaN"):
        probability_of_improvement([math.nan], [1.0])
