"""How far a run is: counted from its store, timed by its latest trials, watched until it ends."""

from __future__ import annotations

import io
import json
import math
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import fs
from rich.console import Console
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.cli.views import status
from lrstudy.cli.views.progress import Clock, progress_page, show_progress, summary_line
from lrstudy.cli.views.status import status_page, watch_run
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.run_progress import Progress, ScheduleProgress
from lrstudy.spec import parse_study
from lrstudy.store import Location, StoreWriter, open_store
from lrstudy.store.run_status import read_status
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.driver.best_so_far import BestSoFar

START = datetime(2026, 1, 1, tzinfo=UTC)
STUDY = {
    "name": "[b]odd",
    "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 2},
    "budget": {"trials": 3, "confirm_seeds": 2},
    "schedules": {"fixed": {"lr": {"low": 0.01, "high": 1.0}}, "step": {"lr": {"low": 0.01, "high": 1.0}}},
}


def trial(number: int, schedule: str = "fixed", status: Status = Status.COMPLETED) -> TrialRecord:
    began = START + timedelta(seconds=4 * number)
    return TrialRecord(
        trial_id=f"{schedule}-tune-{number:03}",
        phase=Phase.TUNE,
        schedule=schedule,
        seed=number,
        params={"lr": 0.1},
        status=status,
        error=None,
        evaluations_run=2,
        best_val=0.5 + number / 10,
        best_evaluation=2,
        objective=0.5 + number / 10 if status is Status.COMPLETED else None,
        test_loss=None,
        test_accuracy=None,
        test_r2=None,
        started_at=began,
        ended_at=began + timedelta(seconds=4),
        node="here",
        device="cpu",
        attempt=1,
    )


@pytest.fixture
def writer(tmp_path: Path) -> StoreWriter:
    writer = StoreWriter.create_or_open(tmp_path / "run", study_info(parse_study(STUDY, "test")))
    writer.append([], [trial(0), trial(1), trial(2, "step", Status.DIVERGED)])
    return writer


def page_of(run: Path) -> str:
    shown = Console(file=io.StringIO(), width=80)
    shown.print(status_page(read_status(open_store(run))))
    return shown.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_at_work_tells_who_and_how_long(writer: StoreWriter, tmp_path: Path) -> None:
    found = read_status(open_store(tmp_path / "run"))
    assert (found.done, found.planned) == (3, 10)
    assert found.writer is not None
    # Three trials ended four seconds apart, seven are missing.
    assert found.seconds_left == pytest.approx(28)
    page = page_of(tmp_path / "run")
    assert "[b]odd: 3 of 10 trials done, about 28 s left; process" in page
    assert max(map(len, page.splitlines())) <= 80
    writer.close()
    assert "left" not in page_of(tmp_path / "run")


def test_a_run_elsewhere_tells_its_writer_too(tmp_path: Path) -> None:
    # Storage that can put, list and delete files only, as S3.
    place = Location(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "run", "hdfs://run")
    with StoreWriter.create_or_open(place, study_info(parse_study(STUDY, "test"))) as writer:
        writer.append([], [trial(0), trial(1)])
        found = read_status(open_store(place))
        assert str(found.writer).startswith(f"process {os.getpid()} on")
        assert found.running
    found = read_status(open_store(place))
    assert (found.writer, found.running) == (None, False)


def test_only_the_kinds_of_loss_that_there_are_have_a_column(writer: StoreWriter, tmp_path: Path) -> None:
    page = page_of(tmp_path / "run")
    assert "diverged" in page
    assert "failed" not in page
    assert "0.6000" in page
    writer.close()


def test_json_says_the_same(writer: StoreWriter, tmp_path: Path) -> None:
    writer.close()
    found = json.loads(CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--json"]).stdout)
    assert (found["done"], found["planned"], found["writer"], found["seconds_left"]) == (3, 10, None, None)
    assert [row["diverged"] for row in found["schedules"]] == [0, 1]


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_shows_what_happens_and_ends_with_the_run(
    writer: StoreWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(status, "WATCH_SECONDS", 0.05)
    screen = Console(file=io.StringIO(), width=80, force_terminal=terminal)
    watcher = threading.Thread(target=watch_run, args=(screen, str(tmp_path / "run")))
    watcher.start()
    writer.append([], [trial(3)])
    watcher.join(0.5)
    assert watcher.is_alive(), "it watches as long as somebody writes"
    writer.close()
    watcher.join(20)
    assert not watcher.is_alive()
    assert "4 of 10 trials done" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_trials_under_way_count_as_their_epochs() -> None:
    def progress(finished: int, trials: int, worth: float) -> Progress:
        schedule = ScheduleProgress("fixed", tune_planned=8, confirm_planned=4, tune=finished)
        return Progress((schedule,), {Phase.TUNE: (trials, worth)})

    now = 0.0
    clock = Clock(progress(0, 0, 0.0), now=lambda: now)
    now = 20.0
    assert summary_line(progress(0, 7, 0.5), clock) == "0 of 12 trials, 7 more at 7%, in 20 s"
    now = 30.0
    line = "1 of 12 trials, 7 more at 50%, in 30 s; tuned in about 9 s, done in about 19 s"
    assert summary_line(progress(1, 7, 3.5), clock) == line


def test_off_a_terminal_the_last_line_says_how_the_study_ended() -> None:
    states = iter([progress_of(0), progress_of(1), progress_of(8)])
    screen = Console(file=io.StringIO(), width=80)
    with show_progress(screen, lambda: next(states), "val_accuracy", quiet=False) as on_change:
        on_change()
        on_change()
    assert screen.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "1 of 8 trials in 0 s",
        "8 of 8 trials in 0 s",
    ]


def progress_of(finished: int) -> Progress:
    return Progress((ScheduleProgress("fixed", tune_planned=8, confirm_planned=0, tune=finished),))


def test_time_left_is_told_for_tuning_and_for_all() -> None:
    def progress(tuned: int, confirmed: int) -> Progress:
        schedule = ScheduleProgress("fixed", tune_planned=8, confirm_planned=4, tune=tuned, confirm=confirmed)
        return Progress((schedule,))

    now = 0.0
    clock = Clock(progress(0, 0), now=lambda: now)
    now = 20.0
    assert summary_line(progress(0, 0), clock) == "0 of 12 trials in 20 s"
    assert summary_line(progress(2, 0), clock) == "2 of 12 trials in 20 s", "most of it may be Ray's start"
    now = 24.0
    assert summary_line(progress(4, 0), clock).endswith("in 24 s; tuned in about 8 s, done in about 16 s")
    now = 32.0
    assert summary_line(progress(8, 2), clock).endswith("in 32 s; done in about 3 s")
    assert summary_line(progress(8, 4), clock) == "12 of 12 trials in 32 s"
    slow = Clock(progress(0, 0), now=lambda: now)
    now += 600.0
    assert summary_line(progress(2, 0), slow).endswith(
        "tuned in about 30 min 00 s, done in about 50 min 00 s"
    )


def moving(bests: dict[str, tuple[float, ...]], trials: int = 115) -> Progress:
    rows = [
        ScheduleProgress(name, tune_planned=trials - 3, confirm_planned=3, tune=1, best=0.9123)
        for name in ("fixed", "lipschitz-tuned")
    ]
    return Progress(tuple(rows), {Phase.TUNE: (64, 8.0)}, "epochs", 400.0, bests)


def page_in(width: int, progress: Progress) -> list[str]:
    screen = Console(file=io.StringIO(), width=width)
    objective = parse_study(STUDY, "test").objective
    now = iter([0.0, *[61.0] * 9])
    screen.print(progress_page(progress, Clock(progress, now=lambda: next(now)), objective, screen))
    return screen.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_work_counts_epochs_of_trials_that_have_not_ended() -> None:
    lines = page_in(80, moving({}))
    assert lines[-2].startswith("  4% ")
    assert lines[-2].endswith("2 of 230 trials, 64 under way; 400 epochs")
    assert "━" in lines[-2]
    assert lines[-1].strip() == "1 min 01 s so far"
    assert (len(lines), max(map(len, lines)) <= 80) == (5, True)


def test_a_wide_terminal_shows_how_the_best_value_rose() -> None:
    bests = {"fixed": (0.1, 0.5, 0.9), "lipschitz-tuned": tuple(n / 100 for n in range(10, 91))}
    found = page_in(120, moving(bests))
    assert "best val_accuracy" in found[0]
    assert found[1].rstrip().endswith("▁▄█")
    assert found[2].rstrip().endswith("█")
    assert max(map(len, found)) <= 120
    for width in (40, 60, 80):
        lines = page_in(width, moving(bests, trials=90_000))
        assert max(map(len, lines)) <= width
        assert lines[-1].strip().startswith("1 min 01 s so far"), "each of both takes one line"


def test_the_best_values_stay_few_and_end_with_the_best() -> None:
    bests = BestSoFar(METRICS["val_loss"])
    for number in range(10_000):
        bests.add("fixed", 1.0 / (1 + number) if number % 7 else math.nan)
    series = bests.series["fixed"]
    assert 100 < len(series) <= 256
    assert series[-1] == 1.0 / 10_000
    assert list(series) == sorted(series, reverse=True)
