"""``lrstudy check``: what a few steps of a training show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import load_data
from lrstudy.tuning import check_child
from lrstudy.tuning.check_child import CheckResult, check_in_child
from lrstudy.tuning.training_check import Item, TrainingCheck

FILE = """
name = "checked"
[task]
train = "{train}"
steps = 300
evaluate_every = 20
metrics = {{ val_loss = "min" }}
[target]
values = [0.5]
[schedules.cosine]
lr = 0.1
[schedules.fixed]
lr = 0.1
"""


def study(train: str, **task: Any) -> Study:
    return parse_study(
        {
            "name": "checked",
            "task": {"train": train, "metrics": {"val_loss": "min"}, **(task or {"steps": 300})},
            "target": {"values": [0.5]},
            "schedules": {"cosine": {"lr": 0.1}, "fixed": {"lr": 0.1}},
        },
        "test",
    )


def items(train: str, **task: Any) -> dict[str, Item]:
    check = TrainingCheck(study(f"checked_functions:{train}", **task), None, torch.device("cpu"), 12)
    check.run()
    return {item.check: item for item in check.items}


@pytest.mark.parametrize("task", [{"steps": 300, "evaluate_every": 100}, {"epochs": 30}])
def test_a_sound_function_has_no_problem(task: dict[str, Any]) -> None:
    check = TrainingCheck(study("checked_functions:sound", **task), None, torch.device("cpu"), 6)
    check.run()
    found = {item.check: item for item in check.items}
    assert {item.result for item in check.items} == {"ok"}, check.items
    assert "6 steps, 2 evaluations" in found["schedule cosine"].message
    assert "bit by bit" in found["checkpoint"].message
    assert "nan" in found["divergence"].message
    assert check.trial_seconds is not None
    assert check.step_seconds is not None
    length = task.get("steps", 90)  # epochs of 3 batches
    assert check.trial_seconds > length * check.step_seconds


@pytest.mark.parametrize(
    ("train", "check", "says"),
    [
        ("unseeded", "seed repeats", "two runs with one seed differ: val_loss"),
        ("deaf", "seeds differ", "another seed gives the same values"),
        ("second_scheduler", "rates", "step 2 was taken at the rate"),
        ("swapped", "rates", "schedule.step() precedes optimizer.step()"),
        ("twice", "schedule cosine", "schedule.step() was called twice in step 1"),
        ("never", "schedule cosine", "schedule.step() was not called in step 1"),
        ("per_epoch", "schedule cosine", "schedule.step() was not called in step 1"),
        ("forgets", "checkpoint", "continues differently from a checkpoint after step 6: val_loss"),
        (
            "slow_evaluation",
            "evaluation time",
            "schedule.step() and trial.report() count as training",
        ),
        ("fails_on_nan", "divergence", "it raised ValueError: Input contains NaN"),
        ("another_metric", "schedule cosine", "val_los is not one of task.metrics"),
    ],
)
def test_a_fault_is_found_with_its_line_and_a_remedy(train: str, check: str, says: str) -> None:
    item = items(train)[check]
    assert item.result == "problem"
    assert says in item.message
    assert "checked_functions.py, line " in item.message or "own_training.py, line " in item.message
    assert item.remedy


def test_a_function_that_keeps_nothing_is_warned_of() -> None:
    found = items("keeps_nothing")
    assert found["checkpoint"].result == "warning"
    assert "starts again from step 1" in found["checkpoint"].message
    assert {item.result for name, item in found.items() if name != "checkpoint"} == {"ok"}


def test_a_built_in_task_is_checked_as_far_as_that_applies() -> None:
    task = {"dataset": "iris", "model": {"name": "mlp", "widths": [4]}, "batch_size": 32, "epochs": 9}
    schedules = {"cosine": {"lr": 0.1}, "lipschitz": {}}
    spec = parse_study(
        {"name": "s", "task": task, "target": {"values": [0.5]}, "schedules": schedules}, "test"
    )
    check = TrainingCheck(spec, load_data(spec.built_in, 0, None), torch.device("cpu"), 12)
    check.run()
    assert {item.result for item in check.items} == {"ok"}, check.items
    names = {item.check for item in check.items}
    assert {"seed repeats", "seeds differ", "checkpoint", "schedule lipschitz"} <= names


def check_file(folder: Path, body: str, limit: float = 60) -> Any:
    (folder / "checked_training.py").write_text(f"def train(trial):\n    {body}\n")
    file = folder / "checked.toml"
    file.write_text(FILE.format(train="checked_training:train"))
    return check_in_child(file, [], [folder], steps=6, limit=limit)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import os; os._exit(4)", "the process ended with exit code 4"),
        ("import ctypes; ctypes.string_at(0)", "the process ended by SIGSEGV"),
        ("import time; time.sleep(600)", "the check did not end within 8 s"),
    ],
)
def test_a_function_that_ends_its_process_or_hangs_is_a_problem(tmp_path: Path, body: str, says: str) -> None:
    (problem,) = check_file(tmp_path, body, limit=8 if "sleep" in body else 60).problems
    assert says in problem["message"]
    assert "try_training" in problem["remedy"]


@pytest.mark.slow
def test_the_command_shows_the_checks_in_80_columns_and_exits_with_2_for_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checked.toml"
    (tmp_path / "checked_training.py").write_text("def train(trial):\n    trial.report(val_loss=1.0)\n")
    same = '[schedules.same]\nkind = "torch.optim.lr_scheduler:ConstantLR"\nfactor = 1.0\ninterval = "step"\n'
    file.write_text(FILE.format(train="checked_training:train") + same)

    results: list[CheckResult] = []

    def once(*given: Any, **named: Any) -> CheckResult:
        """The check takes seconds: the second command shows the same result."""
        results.append(results[0] if results else check_in_child(*given, **named))
        return results[-1]

    monkeypatch.setattr(check_child, "check_in_child", once)
    shown, data = (
        CliRunner().invoke(app, ["check", str(file), "--steps", "6", *words], env={"COLUMNS": "80"})
        for words in ([], ["--json"])
    )
    assert (shown.exit_code, data.exit_code) == (2, 2), shown.output + data.output
    assert "trial.schedule was never called" in " ".join(shown.stdout.split())
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    assert shown.stderr.count("warning: ") == 1
    assert "schedules.same.kind" in shown.stderr
    found = json.loads(data.stdout)
    assert found["problems"] == 1
    assert "checked_training.py, line 2" in found["checks"][0]["message"]
