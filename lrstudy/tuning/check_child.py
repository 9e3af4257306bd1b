"""The check of a training in a child process: users' code can end its process, hang, or fill its memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lrstudy.safe_text import safe_line

_CHILD: Final = (
    "import json, sys; sys.path[:], study, overrides, steps, log = json.loads(sys.argv[1]); "
    "from lrstudy.tuning.check_child import check_here; check_here(study, overrides, steps, log)"
)
_LONGEST_LINE: Final = 200


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The results of a check: its items as plain data, and the seconds of a step and of the whole study."""

    items: list[dict[str, str]]
    step_seconds: float | None = None
    seconds: float | None = None

    @property
    def problems(self) -> list[dict[str, str]]:
        """The items that are problems."""
        return [item for item in self.items if item["result"] == "problem"]


def check_in_child(
    study: Path, overrides: Sequence[str], folders: Sequence[Path], *, steps: int, limit: float
) -> CheckResult:
    """Check a study's training in a child process, for at most ``limit`` seconds."""
    path = [*sys.path, *(str(folder.resolve()) for folder in folders)]
    with tempfile.TemporaryFile() as results, tempfile.TemporaryFile() as errors:
        words = json.dumps([path, str(study.resolve()), list(overrides), steps, results.fileno()])
        child = subprocess.Popen(  # noqa: S603 - this Python, with names from the study file
            [sys.executable, "-P", "-c", _CHILD, words],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=[results.fileno()],
        )
        ended = ""
        try:
            status = child.wait(limit)
            if status:
                ended = f"the process ended {_cause(status)}"
        except subprocess.TimeoutExpired:
            ended = f"the check did not end within {limit:g} s"
        finally:
            child.kill()
            child.wait()
        results.seek(0)
        lines = results.read().decode().splitlines()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").splitlines()
    if lines and not ended:
        return CheckResult(**json.loads(lines[-1]))
    last = "".join(f"; its last output: {safe_line(line)[:_LONGEST_LINE]}" for line in said[-1:])
    remedy = "Call the function by itself, with lrstudy.try_training(function, steps=…)."
    if "within" in ended:
        remedy = "Give fewer --steps or a longer --limit, or find what hangs with lrstudy.try_training."
    item = {"check": "training", "result": "problem", "message": ended + last, "remedy": remedy}
    return CheckResult([item])


def check_here(study: str, overrides: Sequence[str], steps: int, log: int) -> None:
    """Check a study's training, as the child: write the result to the descriptor ``log``."""
    import torch

    from lrstudy.spec import load_study
    from lrstudy.tasks import load_data
    from lrstudy.tuning.gpus import training_device
    from lrstudy.tuning.time_estimate import estimate_seconds, whole_study_seconds
    from lrstudy.tuning.training_check import TrainingCheck

    spec = load_study(Path(study), overrides)
    torch.set_num_threads(spec.resources.cpus)
    device = training_device(spec.resources.gpus)
    data = None if spec.function is not None else load_data(spec.built_in, spec.seed, None)
    check = TrainingCheck(spec, data, device, steps)
    check.run()
    seconds: float | None = None
    if check.trial_seconds is not None:
        seconds = whole_study_seconds(spec, check.trial_seconds)
    elif data is not None:
        seconds = estimate_seconds(spec, data).seconds
    found: dict[str, Any] = {"items": [asdict(item) for item in check.items]}
    found |= {"step_seconds": check.step_seconds, "seconds": seconds}
    os.write(log, f"{json.dumps(found)}\n".encode())
    os._exit(0)  # no exit handlers of users' modules, no wait for their threads


def _cause(status: int) -> str:
    if status > 0:
        return f"with exit code {status}, without an exception"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"
