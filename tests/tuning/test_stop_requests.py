"""A request to stop: made once, made twice, withdrawn."""

from __future__ import annotations

from pathlib import Path

from lrstudy.store import open_location
from lrstudy.tuning.stop_request import StopRequest, request_stop, withdraw_stop


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
