"""The examples that the documentation points to run as they stand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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
