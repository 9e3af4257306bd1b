"""``lrstudy tasks`` and ``lrstudy data list``: the parts of a task, listed without importing torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.catalog.task_parts import DATASETS, LOSSES, MODELS, OPTIMIZERS
from lrstudy.cli import app


def done(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_part_is_listed_within_eighty_columns() -> None:
    lines = done("tasks").splitlines()
    assert max(map(len, lines)) <= 80
    first = {line.split()[0] for line in lines if line.strip()}
    assert {*DATASETS, *MODELS, *LOSSES, *OPTIMIZERS} <= first


def test_a_model_shows_the_range_of_its_parameters() -> None:
    rows = {line.split("  ")[0]: line for line in done("tasks").splitlines()}
    assert "1,657,402 – 1,680,820" in rows["resnet-56-v2"]
    assert "  31  " in rows["logistic-regression"]
    models = {model["name"]: model["parameters"] for model in json.loads(done("tasks", "--json"))["models"]}
    assert models["paper-cnn"]["mnist"] == 730_346
    assert models["linear-regression"] == {"diabetes": 11}


@pytest.mark.parametrize("command", [["tasks"], ["tasks", "--json"], ["data", "list"]])
def test_a_list_needs_no_torch(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from lrstudy.cli import app, commands\n"
        f"app({command!r}, standalone_mode=False)\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'ray', 'sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
