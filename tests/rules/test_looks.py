"""Looks at a study: open schedules and the reference get replicates, closed ones keep theirs."""

from __future__ import annotations

import pytest

from lrstudy.rules.looks import Look, look_sizes, looks_of, replicates_of

LOOKS = (Look(4, ("a", "b"), 8), Look(8, ("b",), 16), Look(16, ("b",), 16))


@pytest.mark.parametrize(("schedule", "replicates"), [("a", 8), ("b", 16), ("closed", 4), ("fixed", 16)])
def test_a_look_adds_replicates_to_what_is_open_and_to_the_reference(schedule: str, replicates: int) -> None:
    assert replicates_of(4, LOOKS, schedule, "fixed") == replicates


def test_a_look_without_an_open_schedule_or_room_adds_nothing() -> None:
    assert [look.adds for look in LOOKS] == [True, True, False]
    assert not Look(4, (), 8).adds
    assert replicates_of(4, [Look(4, (), 8)], "fixed", "fixed") == 4


def test_looks_are_read_back_and_double_up_to_the_most() -> None:
    assert looks_of([look.to_json() for look in LOOKS]) == LOOKS
    assert look_sizes(3, 20) == [3, 6, 12, 20]
