"""Schedules stopped by hand, in ``study.json``: kept by a resume, taken back with the looks they missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from growing_run import append, numbers, study
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.errors import StoreError
from lrstudy.rules.looks import Look
from lrstudy.store import StoreWriter, open_location, open_store
from lrstudy.store.run_status import read_status
from lrstudy.store.stopped_schedules import rewrite_study, with_stopped, without_stopped
from lrstudy.tuning.stop_request import StopRequest


def stop(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["stop", *words])
    return done.exit_code, done.output


@pytest.fixture
def run(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    with StoreWriter.create_or_open(place, study()) as writer:
        for trial in numbers()[:9]:
            append(writer, *trial)
    return place


def test_a_stop_is_kept_by_the_next_writer_and_taken_back(run: Path) -> None:
    code, said = stop(str(run), "--schedule", "step")
    first, second = said.splitlines()
    assert (code, first) == (0, "step is stopped: lrstudy resume starts no trial of it")
    back = f"lrstudy stop {run} --schedule step --undo"
    assert second == f"what it has is kept, without a verdict; to take it back: {back}"
    with StoreWriter.create_or_open(run, study()) as writer:
        assert list(writer.study.stopped) == ["step"]
    status = read_status(open_store(run))
    assert [(row.schedule, row.done, row.planned) for row in status.schedules] == [
        ("fixed", 3, 7),
        ("step", 3, 3),
        ("wild", 3, 7),
    ]
    shown = CliRunner().invoke(app, ["status", str(run)]).output
    assert "9 of 17 trials done" in shown
    assert "step (stopped)" in shown
    assert stop(str(run), "--schedule", "step") == (0, "step was stopped before\n")
    assert stop(str(run), "--schedule", "step", "--undo")[0] == 0
    assert open_store(run).study == study()


def test_what_cannot_be_stopped_is_refused_with_a_remedy(run: Path) -> None:
    for words, message in (
        (("--schedule", "fixed"), "is the reference"),
        (("--schedule", "stpe"), "Did you mean 'step'?"),
        (("--undo",), "needs a schedule"),
        (("--schedule", "step", "--undo"), "was not stopped"),
        ((), "no study is running here"),
    ):
        code, said = stop(str(run), *words)
        assert (code, message in " ".join(said.split())) == (2, True), said
    with StoreWriter.create_or_open(run, study()) as writer:
        for trial in numbers()[9:]:
            append(writer, *trial)
    code, said = stop(str(run), "--schedule", "step")
    assert (code, "has ended: all 7 trials are done" in said) == (2, True)
    assert open_store(run).study.stopped == {}


def test_while_a_process_writes_the_driver_is_asked_and_nothing_is_taken_back(run: Path) -> None:
    with StoreWriter.create_or_open(run, study()):
        code, said = stop(str(run), "--schedule", "step")
        assert (code, said.splitlines()[0]) == (
            0,
            "asked to stop step: its running trials end after their next evaluation, and no more start",
        )
        assert [*StopRequest(open_location(run)).schedules] == ["step"]
        assert open_store(run).study.stopped == {}, "the driver's to write"
        code, said = stop(str(run), "--schedule", "step", "--undo")
        assert (code, "a study is running here" in said) == (2, True)
        with pytest.raises(StoreError):
            rewrite_study(open_location(run), lambda found: found)


def test_a_schedule_taken_back_takes_part_in_the_looks_that_it_missed() -> None:
    first, second = Look(2, ("step", "wild"), 4), Look(4, ("wild",), 8)
    before = replace(study(), looks=[first.to_json()])
    stopped = with_stopped(before, ["step"])
    later = replace(stopped, looks=[first.to_json(), second.to_json(), Look(8, (), 8).to_json()])
    again = without_stopped(later, ["step"])
    assert again.taken_looks == (first, replace(second, open=("wild", "step"))), "the last is taken again"
    assert again.replicates("step") == 8
    assert without_stopped(stopped, ["step"]) == before
    assert without_stopped(before, ["step"]) == before
    both = with_stopped(stopped, ["step", "wild"])
    assert both.stopped["step"] == stopped.stopped["step"], "the first stop counts"
