"""Times in sentences round to the unit that a person would use, also at the edges of the units."""

from __future__ import annotations

import pytest

from lrstudy.rules.durations import measured_time, waiting_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.7, "1 h 00 min"), (90_000, "25 h 00 min")],
)
def test_a_time_to_wait_is_whole_seconds_or_minutes(seconds: float, text: str) -> None:
    assert waiting_time(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.0999, "99.9 ms"), (0.1, "0.1 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_a_measured_time_has_three_digits(seconds: float, text: str) -> None:
    assert measured_time(seconds) == text
