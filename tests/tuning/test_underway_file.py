"""The part of the running trials that is done, as readers of a store see it while the driver runs."""

from __future__ import annotations

from pathlib import Path

from growing_run import append, numbers, study

from lrstudy.records import Phase
from lrstudy.report.live_page import LivePage
from lrstudy.store import StoreWriter, open_location, open_store
from lrstudy.store.run_status import status_of
from lrstudy.store.underway import FILE, Underway, read_underway
from lrstudy.tuning.driver.underway_file import UnderwayFile

COUNTS = {Phase.TUNE: (3, 1.5), Phase.CONFIRM: (1, 0.5)}


def test_the_file_is_written_now_and_then_and_removed_at_the_end(tmp_path: Path) -> None:
    now = [0.0]
    file = UnderwayFile(place := open_location(tmp_path), clock=lambda: now[0])
    file.keep(COUNTS)
    assert read_underway(place) == Underway(4, 2.0)
    now[0] = 1.0
    file.keep({})
    assert read_underway(place) == Underway(4, 2.0)
    now[0] = 2.5
    file.keep(COUNTS | {Phase.TUNE: (3, 2.5)})
    assert read_underway(place) == Underway(4, 3.0)
    file.remove()
    assert not list(tmp_path.iterdir())


def test_the_file_of_a_killed_driver_goes_though_the_next_one_wrote_none(tmp_path: Path) -> None:
    UnderwayFile(place := open_location(tmp_path)).keep(COUNTS)
    UnderwayFile(place).remove()
    assert not list(tmp_path.iterdir())
    UnderwayFile(place).keep(COUNTS)
    UnderwayFile(place).keep({})
    assert not list(tmp_path.iterdir())


def test_a_store_that_takes_no_file_ends_it_and_not_the_run(tmp_path: Path) -> None:
    file = UnderwayFile(open_location(tmp_path / "missing"))
    file.keep(COUNTS)
    file.remove()


def test_what_is_no_such_file_is_nothing(tmp_path: Path) -> None:
    for content in ("", "[]", '{"trials": "x"}', '{"trials": 2, "worth": 3.0}', '{"trials": 2, "more": 1}'):
        (tmp_path / FILE).write_text(content)
        assert read_underway(open_location(tmp_path)) == Underway()


def test_a_reader_of_a_running_study_sees_parts_of_trials(tmp_path: Path) -> None:
    place = open_location(tmp_path)
    with StoreWriter.create_or_open(place, study()) as writer:
        for trial in numbers()[:9]:
            append(writer, *trial)
        UnderwayFile(place).keep(COUNTS)
        store = open_store(place)
        status = status_of(store, "somebody")
        assert status.to_json()["underway"] == {"trials": 4, "worth": 2.0}
        assert status.seconds_per_trial is not None
        assert status.seconds_left == status.seconds_per_trial * (status.planned - 9 - 2)
        assert "9 of 21 trials done, 4 more at 50%" in LivePage(store, 1.0).state(0)
    assert status_of(store, None).underway == Underway()  # left by a driver that was killed
