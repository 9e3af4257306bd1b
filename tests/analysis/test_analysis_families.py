"""The study's 5% is divided between its primary target and all other questions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.analysis.families import END, adjusted, primary_of, shares
from lrstudy.analysis.intervals import holm


def test_the_primary_is_the_named_target_or_the_hardest() -> None:
    assert primary_of(0.95, [0.95, 0.97], higher_is_better=True) == 0.95
    assert primary_of(None, [0.95, 0.97], higher_is_better=True) == 0.97
    assert primary_of(0.9, [0.95, 0.97], higher_is_better=True) == 0.97  # targets of a report of its own
    assert primary_of(None, [0.2, 0.1], higher_is_better=False) == 0.1
    assert primary_of(None, [], higher_is_better=True) is None


def test_one_question_has_the_whole_error_and_several_share_it() -> None:
    assert shares([0.97], 0.97) == {0.97: 1.0}
    assert shares([0.97, END], 0.97) == {0.97: 0.8, END: 0.2}
    assert shares([END], None) == {END: 1.0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_with_one_question_it_is_holm(p_values: list[float]) -> None:
    found = adjusted({(0.97, str(i)): p for i, p in enumerate(p_values)}, 0.97)
    assert list(found.values()) == pytest.approx(holm(p_values))


def test_other_targets_and_the_end_are_one_family() -> None:
    p_values = {(0.97, "a"): 0.03, (0.97, "b"): None, (0.95, "a"): 0.002, (0.95, "b"): 0.004, (END, "a"): 0.5}
    found = adjusted(p_values, 0.97)
    assert found == {
        (0.97, "a"): pytest.approx(0.03 / 0.8),
        (0.97, "b"): None,
        (0.95, "a"): pytest.approx(3 * 0.002 / 0.2),
        (0.95, "b"): pytest.approx(2 * 0.004 / 0.2),
        (END, "a"): 1.0,
    }


def test_without_a_difference_five_studies_in_a_hundred_reject_anything() -> None:
    rng = np.random.default_rng(0)
    keys = [(question, str(name)) for question in (0.97, 0.95, END) for name in range(3)]
    rejected = 0
    for p_values in rng.uniform(size=(4000, len(keys))):
        found = adjusted(dict(zip(keys, p_values.tolist(), strict=True)), 0.97)
        rejected += any(p is not None and p <= 0.05 for p in found.values())
    assert 0.035 < rejected / 4000 < 0.055
