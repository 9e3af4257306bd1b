import numpy as np
import pytest

from lrstudy.analysis.ert import ert


def test_all_hit_gives_the_mean() -> None:
    assert ert([10, 20, 60], [True, True, True]) == 30.0


def test_misses_add_what_they_spent_and_no_hit() -> None:
    # Two hits at 12 and 8, a miss after 20 and one that diverged after 4: 44 / 2.
    assert ert([12, 8, 20, 4], [True, True, False, False]) == 22.0


def test_no_hit_is_infinite_so_none() -> None:
    assert ert([20, 20], [False, False]) is None
    assert ert([], []) is None


def test_hits_may_be_given_as_their_number() -> None:
    assert ert(np.array([12.0, 8.0, 20.0]), np.array(2)) == 20.0


@pytest.mark.parametrize(
    ("spent", "hits"),
    [([1.0, np.inf], [True, False]), ([-1.0], [True]), ([1.0, 2.0], [True]), ([1.0], 2)],
)
def test_impossible_runs_are_refused(spent: list[float], hits: object) -> None:
    with pytest.raises(ValueError, match=r"finite|hits"):
        ert(spent, hits)  # type: ignore[arg-type]  # the parametrised hits are of several types
