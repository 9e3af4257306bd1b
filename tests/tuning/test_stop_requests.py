"""A request to stop: made once, made twice, withdrawn."""

from __future__ import annotations

from pathlib import Path

from lrstudy.store import open_location
from lrstudy.tuning.stop_request import (
    StopRequest,
    request_schedule_stop,
    request_stop,
    withdraw_schedule_stops,
    withdraw_stop,
)


def test_a_second_request_is_urgent(tmp_path: Path) -> None:
    store = open_location(tmp_path)
    assert not StopRequest(store).requested
    assert request_stop(store) is False
    seen = StopRequest(store)
    assert seen.requested
    assert not seen.urgent
    assert request_stop(store) is True
    assert seen.urgent
    assert StopRequest(store).urgent


def test_a_request_is_withdrawn_by_its_time_urgent_or_not(tmp_path: Path) -> None:
    store = open_location(tmp_path)
    request_stop(store)
    request_stop(store)
    withdraw_stop(store, before=1.0)
    assert StopRequest(store).urgent, "it is later"
    withdraw_stop(store)
    assert not StopRequest(store).requested
    assert not StopRequest(store).urgent


def test_requests_to_stop_schedules_are_seen_at_the_next_look_and_stay_seen(tmp_path: Path) -> None:
    store, now = open_location(tmp_path), [0.0]
    request = StopRequest(store, lambda: now[0])
    assert not [*request.schedules]
    request_schedule_stop(store, ["a/b", "ü", "a/b"])
    assert not [*request.schedules], "it has looked a moment ago"
    now[0] = 1.0
    assert {*request.schedules} == {"a/b", "ü"}
    assert not request.requested, "the study goes on"
    withdraw_schedule_stops(store)
    withdraw_schedule_stops(store)
    now[0] = 2.0
    assert {*request.schedules} == {"a/b", "ü"}
    assert not [*StopRequest(store).schedules]
