"""The examples that the documentation points to run as they stand."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from growing_run import append, numbers, study

from lrstudy.store import StoreWriter, open_location

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "studies" / "examples"


@pytest.mark.cluster
def test_the_example_of_an_own_task_runs(tmp_path: Path) -> None:
    study = ROOT / "studies" / "examples" / "own-task.toml"
    fewer = ["--set", "budget.trials=2", "--set", "budget.confirm_seeds=2", "--set", "task.epochs=3"]
    fewer += ["--set", "resources.max_concurrent=1"]
    command = [sys.executable, "-m", "lrstudy", "run", str(study), "--quiet", *fewer]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "runs" / "own-task" / "report" / "summary.json").read_text())
    assert summary["complete"]
    assert all(schedule["failed"] == 0 for schedule in summary["schedules"])


class _Cells:
    """A stand-in for marimo's ``App``: runs each cell at once, with what earlier cells returned."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.shown = 0

    def cell(self, function: Callable[..., Any]) -> None:
        found = function(*(self.names[name] for name in inspect.signature(function).parameters))
        returned = re.search(r"return \(?([\w, ]+)", inspect.getsource(function))
        if returned and found:
            names = [name.strip() for name in returned[1].split(",") if name.strip()]
            self.names |= dict(zip(names, found, strict=True))
        self.shown += 1


def test_the_notebooks_open_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    run = str(tmp_path / "run")
    with StoreWriter.create_or_open(open_location(run), study()) as writer:
        for trial in numbers():
            append(writer, *trial)
    dropdown = lambda options, value: SimpleNamespace(value=value)  # noqa: E731
    cells = _Cells()
    marimo = SimpleNamespace(
        App=lambda: cells, cli_args=lambda: {"run": run}, ui=SimpleNamespace(dropdown=dropdown)
    )
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    runpy.run_path(str(EXAMPLES / "run_notebook.py"))
    assert cells.shown == 4
    assert "step" in cells.names["study"]._repr_html_()
    quarto = re.findall(r"```\{python\}\n(.*?)```", (EXAMPLES / "report.qmd").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for cell in quarto:
        exec(cell.replace("../../runs/digits", run), names)
    assert len(quarto) == 5
    assert names["study"].headline == cells.names["study"].headline
