"""Bad input: exit code 2, every problem with its place and remedy, no traceback, nothing written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app

GOOD = """
name = "small"
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 1
[budget]
trials = 2
confirm_seeds = 2
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def refused(folder: Path, *arguments: str) -> str:
    before = sorted(folder.rglob("*"))
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert sorted(folder.rglob("*")) == before, "nothing is written"
    return result.output


def study(folder: Path, text: str) -> str:
    path = folder / "study.toml"
    path.write_text(text)
    return str(path)


CHANGES = {
    "unknown key": ("epochs = 1", "epochs = 1\nepoch = 2", "task.epoch"),
    "unknown schedule": ("[schedules.lipschitz]", "[schedules.lipshitz]", "Did you mean 'lipschitz'?"),
    "wrong type": ("epochs = 1", 'epochs = "one"', "task.epochs"),
    "low above high": ("low = 0.01", "low = 2.0", "Swap them"),
    "zero epochs": ("epochs = 1", "epochs = 0", "task.epochs = 0"),
    "zero trials": ("trials = 2", "trials = 0", "budget.trials = 0"),
    "target out of range": ("[budget]", "[target]\nvalues = [1.2]\n[budget]", "target.values[0] = 1.2"),
    "reference not a schedule": ("[budget]", '[target]\nreference = "step"\n[budget]', "target.reference"),
    "more GPUs than exist": ("[budget]", "[resources]\ngpus = 64\n[budget]", "resources.gpus = 64"),
    "more CPUs than exist": ("[budget]", "[resources]\ncpus = 10000\n[budget]", "resources.cpus = 10000"),
    "TOML syntax": ("epochs = 1", "epochs = = 1", "study.toml:7"),
    "own dataset missing": ('dataset = "digits"', 'dataset = "nowhere:make"', "nowhere"),
    "batch of nothing": ("batch_size = 64", "batch_size = 0", "task.batch_size = 0"),
    "loss for numbers": ("epochs = 1", 'epochs = 1\nloss = "huber"', "loss"),
    "data set not here": ('dataset = "digits"', 'dataset = "cifar10"', "lrstudy data fetch cifar10"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_bad_study_is_refused_before_anything_starts(
    here: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRSTUDY_DATA", str(here / "no-data"))
    old, new, said = CHANGES[case]
    assert old in GOOD
    output = refused(here, "run", study(here, GOOD.replace(old, new, 1)))
    assert said in output


def test_all_problems_come_at_once(here: Path) -> None:
    text = GOOD.replace("epochs = 1", "epochs = 0").replace("trials = 2", "trials = 0")
    output = refused(here, "run", study(here, text))
    assert "2 problems" in output
    assert "task.epochs = 0" in output
    assert "budget.trials = 0" in output


def test_a_study_without_schedules_is_refused(here: Path) -> None:
    assert "there is no schedule" in refused(here, "run", study(here, GOOD.partition("[schedules")[0]))


def test_missing_files_and_folders_are_refused(here: Path) -> None:
    assert "there is no such file" in refused(here, "run", "nowhere.toml")
    assert "there is no such file" in refused(here, "plan", "nowhere.toml")
    assert "nowhere" in refused(here, "status", "nowhere")
    assert "nowhere" in refused(here, "report", "nowhere")


def test_an_unwritable_out_is_refused(here: Path) -> None:
    (here / "file").write_text("in the way")
    path = study(here, GOOD)
    assert "cannot be written" in refused(here, "run", path, "--out", str(here / "file" / "runs"))


def test_an_unwritable_out_is_refused_together_with_other_problems(here: Path) -> None:
    (here / "file").write_text("in the way")
    path = study(here, GOOD.replace("[budget]", "[resources]\ncpus = 6400\n[budget]"))
    output = refused(here, "run", path, "--out", str(here / "file" / "runs"))
    assert "cannot be written" in output
    assert "resources.cpus" in output


def test_reports_that_could_not_be_written_are_refused_before_the_training(here: Path) -> None:
    (here / "file").write_text("in the way")
    path = study(here, GOOD)
    assert "cannot be written" in refused(here, "run", path, "--reports", str(here / "file" / "reports"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(here: Path) -> None:
    (here / "locked").mkdir(mode=0o500)
    assert "permission denied" in refused(here, "run", study(here, GOOD), "--out", str(here / "locked"))


def test_unknown_options_and_values_are_refused(here: Path) -> None:
    path = study(here, GOOD)
    refused(here, "run", path, "--no-such-option")
    refused(here, "run")
    refused(here, "no-such-command")
    assert "has no key and value" in refused(here, "run", path, "--set", "epochs")
    assert "task.nothing" in refused(here, "run", path, "--set", "task.nothing=1")
    assert "Did you mean" in refused(here, "schedules", "cylic")
    assert "Known" in refused(here, "data", "fetch", "zzz")
