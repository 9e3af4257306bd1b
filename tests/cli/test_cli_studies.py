"""init, validate and schema: a study file from nothing to one that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.spec import load_study
from lrstudy.spec.shipped import shipped_studies


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def test_init_writes_a_study_that_is_valid(here: Path) -> None:
    assert "next: lrstudy plan study.toml" in invoke("init").stdout
    assert invoke("init", "my first.toml").exit_code == 0
    assert load_study(here / "study.toml").name == "study"
    assert load_study(here / "my first.toml").name == "my first"
    assert "lrstudy run 'my first.toml'" in (here / "my first.toml").read_text()


@pytest.mark.parametrize("name", shipped_studies())
def test_init_copies_a_shipped_study(here: Path, name: str) -> None:
    assert invoke("init", "copy.toml", "--from", name).exit_code == 0
    assert (here / "copy.toml").read_text() == shipped_studies()[name].read_text()


def test_init_brings_the_modules_that_a_study_names(here: Path) -> None:
    invoke("init", "--from", "own-task")
    assert {path.name for path in here.iterdir()} == {"own-task.toml", "spirals.py"}


def test_init_overwrites_nothing(here: Path) -> None:
    (here / "spirals.py").write_text("mine")
    result = invoke("init", "--from", "own-task")
    assert result.exit_code == 2
    assert "spirals.py: exists already" in result.output
    assert {path.name for path in here.iterdir()} == {"spirals.py"}
    assert invoke("init", "spirals.py").exit_code == 2
    assert (here / "spirals.py").read_text() == "mine"


def test_init_refuses_what_cannot_be(here: Path) -> None:
    assert "Did you mean 'digits'?" in invoke("init", "--from", "digts").output
    assert "cannot be written" in invoke("init", "nowhere/study.toml").output
    assert list(here.iterdir()) == []


def test_validate_lists_the_problems_of_every_file(here: Path) -> None:
    invoke("init", "good.toml")
    text = (here / "good.toml").read_text()
    (here / "bad.toml").write_text(
        text.replace("epochs = 40", "epochs = 0").replace("trials = 16", "trial = 1")
    )
    result = invoke("validate", "good.toml", "bad.toml", "nowhere.toml")
    assert result.exit_code == 2
    assert "good.toml: ok" in result.stdout
    assert "3 problems" in result.stderr
    assert "bad.toml:18: task.epochs = 0: must be at least 1" in result.stderr
    assert "Did you mean 'trials'?" in result.stderr


def test_validate_for_programs(here: Path) -> None:
    invoke("init")
    assert json.loads(invoke("validate", "study.toml", "--json").stdout) == [
        {"study": "study.toml", "problems": []}
    ]
    result = invoke("validate", "study.toml", "--set", "task.epochs=0", "--json")
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)[0]["problems"]
    assert (problem["key"], problem["value"]) == ("task.epochs", 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("task.augment=['flop']", "task.augment[0] = 'flop': is not an augmentation"),
        ("task.augment=['shift:2']", "fraction must be below 1"),
        ("task.normalize=standard", "Did you mean 'standardize'?"),
        ("task.model=torchvision:resnet19", "Did you mean 'resnet18'?"),
        ("target.metric=val_r2", "is not measured with the loss 'cross-entropy'"),
        ("task.loss=mse", "Judge by val_r2 or val_loss."),
    ],
)
def test_what_only_the_task_would_find_out_is_found_early(here: Path, change: str, said: str) -> None:
    invoke("init")
    result = invoke("validate", "study.toml", "--set", change)
    assert result.exit_code == 2
    assert said in result.stderr


def test_schema_is_json(here: Path) -> None:
    assert json.loads(invoke("schema").stdout)["required"] == ["name", "task"]
