"""The ids of a study's trials are different, and name the number of each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lrstudy.records import Phase
from lrstudy.rules.trial_ids import trial_id, trial_number

# Names that look like ids themselves.
NAMES = st.text("a-.0127", min_size=1, max_size=6) | st.sampled_from(["fixed", "fixed-tune-2", "fixed-tune"])
PLACES = st.tuples(NAMES, st.sampled_from(list(Phase)), st.integers(0, 2000), st.integers(1, 2000))


@given(PLACES, PLACES)
def test_trials_of_other_replicates_phases_or_schedules_have_other_ids(
    one: tuple[str, Phase, int, int], other: tuple[str, Phase, int, int]
) -> None:
    assert (trial_id(*one) == trial_id(*other)) == (one == other)


@given(st.integers(0, 99), st.integers(1, 99), st.integers(0, 99), st.integers(1, 99))
def test_ids_of_one_schedule_and_phase_differ(n: int, r: int, m: int, s: int) -> None:
    ids = [trial_id("fixed", Phase.TUNE, number, replicate) for number, replicate in ((n, r), (m, s))]
    assert (ids[0] == ids[1]) == ((n, r) == (m, s))


@given(PLACES)
def test_an_id_names_the_number(place: tuple[str, Phase, int, int]) -> None:
    assert trial_number(trial_id(*place)) == place[2]


def test_the_first_replicate_has_the_ids_that_a_study_without_replicates_has() -> None:
    assert (
        trial_id("fixed", Phase.CONFIRM, 3) == trial_id("fixed", Phase.CONFIRM, 3, 1) == "fixed-confirm-003"
    )
    assert trial_id("fixed", Phase.SELECT, 1003, 2) == "fixed-select-2.1003"
