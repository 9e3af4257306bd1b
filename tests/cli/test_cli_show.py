"""One trial shown: as text within a terminal's columns, as a picture, and as data with every value."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from growing_run import append, numbers, study
from rich.console import Console
from typer.testing import CliRunner, Result

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.cli.terminal_plot import Series, plot, sparkline
from lrstudy.cli.views.show import print_trial
from lrstudy.records import Phase
from lrstudy.rules.diagnostics import DIAGNOSTICS
from lrstudy.store import StoreWriter, open_location, open_store
from lrstudy.store.trial_history import read_trial

Show = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shown") / "run"
    with StoreWriter.create_or_open(place, study()) as writer:
        for trial in numbers():
            append(writer, *trial)
    (place / "run.log").write_text("one WARNING wild-tune-001: odd\ntwo WARNING wild-tune-002: other\n")
    return place


@pytest.fixture
def show(run: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: CliRunner().invoke(app, ["show", str(run), *words])


def test_a_trial_is_shown_within_80_columns(show: Show) -> None:
    shown = show("fixed-confirm-000")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[:3] == [
        "fixed-confirm-000: completed",
        "confirm run of fixed, seed 0, cpu of here",
        "parameters: lr = 0.1",
    ]
    assert "trained: 8 of 8 epochs, 288 steps, 0.8 s of training" in lines
    assert any(line.startswith("best: val_accuracy 9") and line.endswith("% in epoch 8") for line in lines)
    assert max(map(len, lines)) <= 80
    headings = [line for line in lines if line.startswith(("Accuracy", "Loss", "Learning"))]
    assert headings == ["Accuracy", "Loss  ╌ training  ─ validation", "Learning rate"]
    assert sum("│" in line for line in lines) == 3 * 6
    assert any(0x2800 < ord(letter) < 0x2900 for line in lines for letter in line)
    assert "log" not in lines


def test_a_diverged_trial_tells_where_and_how(show: Show) -> None:
    shown = " ".join(show("wild-tune-001").output.split())
    assert "wild-tune-001: diverged" in shown
    assert "diverged: training loss became nan in epoch 3 step 108; learning rate 0.03333" in shown
    assert "(at most 0.1); last training losses 1." in shown
    assert ", nan" in shown
    assert shown.endswith("log one WARNING wild-tune-001: odd"), "not the other trial's line"


def test_a_diverged_trial_tells_what_was_measured_before_it(tmp_path: Path) -> None:
    info = study()
    info.spec["task"]["metrics"] = {**DIAGNOSTICS["gradients"], **DIAGNOSTICS["stability"]}
    info.layers.append("conv1")
    with StoreWriter.create_or_open(tmp_path / "run", info) as writer:
        append(writer, "wild", Phase.TUNE, 1)
    history = read_trial(open_store(tmp_path / "run"), "wild-tune-001")
    measured = {"rate_over_limit": 11.0, "gradient_ratio": 0.25, "largest_gradient_layer": 1.0}
    *rows, last = history.rows
    console = Console(file=io.StringIO(), width=80)
    print_trial(console, replace(history, rows=(*rows, replace(last, metrics=measured))), info)
    said = " ".join(console.file.getvalue().split())
    why = "the rate was 11 times the stability limit; the last layer's gradient was 0.25 of the largest"
    assert f"before these steps: {why}, that of 'conv1'" in said
    assert "gradient_ratio" not in said
    print_trial(console, history, info)
    assert console.file.getvalue().count("before these steps") == 1


def test_json_has_every_evaluation_and_is_json(show: Show) -> None:
    found = json.loads(show("wild-tune-001", "--json").stdout, parse_constant=pytest.fail)
    assert found["trial"]["status"] == "diverged"
    assert (found["diverged"]["step"], found["diverged"]["losses"][-1]) == (108, "nan")
    assert [row["evaluation"] for row in found["evaluations"]] == [1, 2, 3]
    assert found["evaluations"][2]["train_loss"] == "nan"
    assert json.loads(show("fixed-tune-000", "--json").stdout)["diverged"] is None


def test_a_picture_is_drawn(show: Show, tmp_path: Path) -> None:
    drawn = show("fixed-tune-000", "--png", str(tmp_path / "one.png"))
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    for name, message in (("one.svg", "is no PNG file"), ("no/one.png", "a folder that does not exist")):
        refused = show("fixed-tune-000", "--png", str(tmp_path / name))
        assert (refused.exit_code, message in refused.output) == (2, True), name


def test_an_unknown_trial_names_the_nearest_one(show: Show) -> None:
    refused = show("fixed-confrim-000")
    assert refused.exit_code == 2
    assert "is no trial of this run. Did you mean 'fixed-confirm-000'?" in refused.output


def test_a_terminal_without_the_dots_gets_letters(run: Path) -> None:
    command = [sys.executable, "-m", "lrstudy", "show", str(run), "fixed-confirm-000"]
    shown = subprocess.run(command, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    lines = shown.stdout.decode("ascii").splitlines()
    assert "?" not in shown.stdout.decode("ascii")
    assert any("|" in line and "*" in line for line in lines)


def test_a_store_on_s3_and_an_imported_one_are_shown(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_location("s3://bucket/shown", endpoint)
    with StoreWriter.create_or_open(place, study()) as writer:
        append(writer, *numbers()[0])
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    shown = CliRunner().invoke(app, ["show", "s3://bucket/shown", "fixed-tune-000"])
    assert shown.output.startswith("fixed-tune-000: completed\n")
    monkeypatch.chdir(tmp_path)
    Path("h.csv").write_text("schedule,epoch,val_accuracy\nfixed,1,0.9\nfixed,2,0.95\nstep,1,0.95\n")
    assert CliRunner().invoke(app, ["import", "h.csv", "--name", "one"]).exit_code == 0
    name = open_store("runs/one").trial_records()[0].trial_id
    shown = CliRunner().invoke(app, ["show", "runs/one", name])
    assert shown.exit_code == 0, shown.output
    assert "best: val_accuracy 95" in shown.output


def test_a_plot_has_gaps_where_values_are_missing_and_its_ends_at_the_sides() -> None:
    rows = [row.plain for row in plot([Series([1, 2, 3, 4], [0.0, 1.0, None, 1.0])], 31, 2, dots=False)]
    assert rows == [
        "        1 |   ****            *",
        "        0 |***                 ",
        "          +--------------------",
        "           1                  4",
    ]
    assert plot([Series([1], [float("nan")])], 31, 2)[0].plain == "(no finite value)"
    assert plot([Series([1, 2], [0.1, 0.1])], 31, 2)[0].plain.split() == ["0.1", "throughout"]
    logs = [row.plain for row in plot([Series([1, 2, 3], [1e-4, 1.0, -1.0])], 31, 3, log=True)]
    assert (logs[0].split()[0], logs[2].split()[0]) == ("1", "0.0001")


def test_a_sparkline_keeps_its_last_value() -> None:
    assert sparkline(range(100), 10, 0, 99) == "▁▁▂▃▄▄▅▆▇█"
    assert len(sparkline(range(5), 10, 0, 99)) == 5
