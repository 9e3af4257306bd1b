"""The GPU script on a CPU, on a machine without the packages that a GPU machine may lack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench"
MISSING = (
    "ray",
    "optuna",
    "pydantic",
    "pydantic_core",
    "pyarrow",
    "typer",
    "rich",
    "plotly",
    "sklearn",
    "PIL",
)
# Twice in one process, for torch's import is most of the time: as it is, and with a captured step that never
# reads the rates of its schedule.
SCRIPT = f"""
import sys
sys.modules.update(dict.fromkeys({MISSING!r}))  # each import of them fails
sys.path.insert(0, {str(BENCH)!r})
import gpu
from lrstudy.engine.captured_sgd import CapturedSGD

small = "--check-rows 96 --rows 64 --lane-rows 64 --epochs 1 --lanes 2 --packed= --data nowhere"
tiny = ["--device", "cpu", *small.split()]
tiny += [f"--{{name}}=mlp-8x8" for name in ("checks", "networks", "in-lanes")]

def codes(parts, out):
    return gpu.main([*tiny, "--parts", parts, "--out", sys.argv[1] + "/" + out])

good, no_images = codes("agree,lanes", "good"), codes("study,speed", "no-images")
CapturedSGD.refresh = lambda self, optimizer: None
broken = codes("agree", "broken")
print("codes", good, no_images, broken)
"""


def test_the_gpu_script_needs_torch_alone_and_tells_wrong_numbers_by_its_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.endswith("codes 0 1 1\n"), done.stdout + done.stderr
    good, no_images, broken = (
        json.loads((tmp_path / name / "figures.json").read_text(encoding="utf-8"))
        for name in ("good", "no-images", "broken")
    )
    assert [part["state"] for part in good["parts"]] == ["done", "done"]
    assert all(check["ok"] for check in good["parts"][0]["checks"])
    wrong = {check["name"] for check in broken["parts"][0]["checks"] if not check["ok"]}
    assert "mlp-8x8: cosine, captured / eager" in wrong
    assert "mlp-8x8: eager twice" not in wrong
    # A part that fails (Pillow is missing) is named, and those after it run.
    assert [part["state"] for part in no_images["parts"]] == ["failed", "done"]
    assert "| mlp-8x8 | 2 |" in (tmp_path / "good" / "table.md").read_text()
