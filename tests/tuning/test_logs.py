"""Where the words of Ray, Optuna and lrstudy go while a study runs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lrstudy.store import open_location
from lrstudy.tuning import log_file
from lrstudy.tuning import run_log as logs
from lrstudy.tuning.run_log import logged


def test_libraries_go_to_the_file_alone_and_lrstudys_notes_to_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_location(tmp_path)
    ray, ours = logging.getLogger("ray.tune.tune"), logging.getLogger("lrstudy.tuning.driver.recorder")
    before = (list(logging.getLogger("ray").handlers), logging.getLogger("lrstudy").level)
    with logged(store):
        ray.warning("chatter")
        ours.warning("a note")
    ours.warning("later")
    written = log_file(store).read_text()
    assert "WARNING ray.tune.tune: chatter" in written
    assert "WARNING lrstudy.tuning.driver.recorder: a note" in written
    assert "later" not in written
    assert [record.message for record in caplog.records] == ["a note", "later"]
    assert (list(logging.getLogger("ray").handlers), logging.getLogger("lrstudy").level) == before


def test_a_log_that_cannot_be_written_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "log_file", lambda store: Path("/dev/full"))
    with logged(open_location(tmp_path)):
        logging.getLogger("ray.tune.tune").warning("chatter")
    assert capsys.readouterr() == ("", "")


def test_nothing_said_leaves_no_file(tmp_path: Path) -> None:
    with logged(open_location(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []
