"""``lrstudy range-test``: what it prints and draws, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app

STUDY = """
name = "$digits$ [b]"
seed = 3
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 8
[schedules.prodigy]
[schedules.fixed]
lr = 0.1
[schedules."one \\"cycle\\""]
kind = "one-cycle"
max_lr = { low = 0.01, high = 1.0, log = true }
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)
    return "study.toml"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["range-test", *arguments], env={"COLUMNS": "80"})


def found(*arguments: str) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def test_it_suggests_a_range_for_the_schedule_that_searches_one(study: str) -> None:
    result = invoke(study)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    data = found(study)
    assert 0 < data["low"] < data["steepest"] < data["high"]
    assert f"max_lr = {{ low = {data['low']:.2g}, high = {data['high']:.2g}, log = true }}" in result.stdout
    assert '[schedules."one \\"cycle\\""]' in result.stdout
    assert "lr = {" in invoke(study, "--schedule", "fixed").stdout


def test_its_figures_belong_together(study: str) -> None:
    data = found(study)
    curve = data["curve"]
    assert len(curve["rate"]) == len(curve["train_loss"]) == data["cost"]["steps"]
    assert data["low"] in curve["rate"]
    assert curve["val_accuracy"][-1][0] in curve["rate"]
    assert data["seed"] == 3
    assert found(study)["curve"] == curve
    assert found(study, "--seed", "3")["curve"] == curve
    assert found(study, "--seed", "4")["curve"] != curve


def test_ends_and_length_can_be_given(study: str) -> None:
    data = found(study, "--low", "0.01", "--high", "0.1", "--epochs", "2", "--linear")
    rates = data["curve"]["rate"]
    assert (rates[0], rates[-1], data["cost"]["epochs"]) == (0.01, 0.1, 2)
    assert rates[1] - rates[0] == pytest.approx(rates[-1] - rates[-2])
    assert found(study, "--set", "range_test.high=0.1", "--epochs", "2")["curve"]["rate"][-1] == 0.1


def test_no_suggestion_says_why_and_what_to_try(study: str) -> None:
    result = invoke(study, "--low", "1e-9", "--high", "1e-8")
    assert result.exit_code == 0
    assert "the loss never fell" in result.stdout
    assert "Try other ends than --low 1e-09 --high 1e-08" in result.stdout
    assert "[schedules" not in result.stdout
    assert found(study, "--low", "1e-9", "--high", "1e-8")["high"] is None


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_it_draws_the_curve(study: str, suffix: str) -> None:
    result = invoke(study, "--plot", f"range.{suffix}")
    assert result.exit_code == 0, result.output
    picture = Path(f"range.{suffix}").read_bytes()
    if suffix == "png":
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000
    else:
        assert len(list(ET.fromstring(picture).iter())) > 100


def test_a_curve_without_a_suggestion_or_an_end_is_drawn_too(study: str) -> None:
    for ends in (["--low", "1e-9", "--high", "1e-8"], ["--high", "1e12"]):
        assert invoke(study, *ends, "--plot", "range.png").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--low", "0"], "--low = 0.0: must be finite and above 0"),
        (["--low", "5", "--high", "1"], "--low = 5.0: is not below the highest rate, 1"),
        (["--plot", "range.jpg"], "--plot = 'range.jpg': is neither .png nor .svg"),
        (["--plot", "nowhere/range.png"], "is in a folder that does not exist"),
        (["--schedule", "fixd"], "Did you mean 'fixed'?"),
        (["--schedule", "prodigy"], "has no rate that a range test could find"),
        (["--set", "range_test.low=20"], "range_test.low = 20.0: is not below range_test.high, 10"),
        (["--set", "task.dataset=digitz"], "Did you mean 'digits'?"),
        (["--epochs", "0"], "should be greater than or equal to 1"),
        (["--seed", "-1"], "should be greater than or equal to 0"),
    ],
)
def test_bad_input_is_refused_in_one_message(study: str, arguments: list[str], words: str) -> None:
    result = invoke(study, *arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["study.toml"]


def test_a_study_file_that_is_not_there_is_refused() -> None:
    result = invoke("no-such.toml")
    assert result.exit_code == 2
    assert "there is no such file" in result.output
