"""The trainings of ``studies/examples``: each trains some steps, and is as short as it says."""

from __future__ import annotations

import ast
import importlib
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest

from lrstudy import try_training
from lrstudy.engine.function.function_check import check_function
from lrstudy.spec import load_study

FOLDER = Path(__file__).parents[2] / "studies/examples"
NEEDS = {"digits-lightning": "lightning", "manual-transformers": "transformers"}
STUDIES = ["char-lm", "digits-lightning", "images", "manual-transformers"]
MOST_LINES, MOST_LINES_OF_LRSTUDY = 60, 8
OF_LRSTUDY = ("lrstudy", "trial.", "schedule", "callback", "TrialCallback")

pytestmark = pytest.mark.filterwarnings("ignore")


def code_lines(path: Path) -> list[str]:
    """The lines of a module without empty ones, comments and docstrings."""
    source = path.read_text(encoding="utf-8")
    texts: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            texts |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    numbered = enumerate(source.splitlines(), 1)
    return [
        line for i, line in numbered if line.strip() and i not in texts and not line.strip().startswith("#")
    ]


@pytest.fixture
def function(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    name = request.getfixturevalue("name")
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"needs pip install 'lrstudy[{NEEDS[name]}]'")
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module, _, attribute = load_study(FOLDER / f"{name}.toml").function.train.partition(":")
    with warnings.catch_warnings(action="ignore"):
        return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", STUDIES)
def test_it_trains_some_steps_with_each_of_its_schedules(name: str, function: Any) -> None:
    study = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    task = study["task"]
    check_function(load_study(FOLDER / f"{name}.toml").function)
    for kind, table in study["schedules"].items():
        rates = {key: value["low"] if isinstance(value, dict) else value for key, value in table.items()}
        rows = try_training(
            function,
            {"kind": kind} | rates,
            steps=4,
            evaluate_every=2,
            metrics=dict.fromkeys(task["metrics"], "min"),
            options=task.get("options"),
            lr=task.get("lr", 0.1),
            show=False,
        )
        assert [row.step for row in rows] == [2, 4]
        assert all(row.value(metric) is not None for row in rows for metric in task["metrics"])


@pytest.mark.parametrize("name", STUDIES)
def test_it_is_short_and_few_lines_are_lrstudy_s(name: str) -> None:
    lines = code_lines(FOLDER / f"{name.replace('-', '_')}.py")
    assert len(lines) <= MOST_LINES
    assert sum(any(word in line for word in OF_LRSTUDY) for line in lines) <= MOST_LINES_OF_LRSTUDY
