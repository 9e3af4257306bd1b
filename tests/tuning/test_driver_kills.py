"""The driver is killed with SIGKILL: trials go on from their checkpoints, and no metric shows it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_studies import assert_same, run_study, write_study

from lrstudy.store import open_store

pytestmark = pytest.mark.cluster

RUN = """
import sys
from pathlib import Path
from fault_studies import run_study
run_study(Path(sys.argv[1]), Path(sys.argv[2]))
"""
# Two workers would each import torch anew after every kill.
ONE_AT_A_TIME = "[resources]\nmax_concurrent = 1\n"
# tests/bench/soak.py does this for longer.
KILLS = 3


def start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", RUN, str(study), str(out)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def checkpoints(out: Path) -> set[str]:
    return {path.name for path in (out / "slow" / "checkpoints").glob("*/*.pt")}


def kill_in_mid_trial(study: Path, out: Path, moments: random.Random) -> None:
    """Let it write a checkpoint of its own, then kill it at a random moment."""
    before = checkpoints(out)
    child = start(study, out)
    deadline = time.monotonic() + 120
    while not checkpoints(out) - before:
        assert time.monotonic() < deadline, "no checkpoint in two minutes"
        assert child.poll() is None, "the study ended before it could be killed"
        time.sleep(0.02)
    time.sleep(moments.uniform(0.0, 0.3))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def test_three_kills_leave_no_trace_in_any_metric(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", seconds=0.02, epochs=16, trials=2, seeds=1, more=ONE_AT_A_TIME)
    out, moments = tmp_path / "killed", random.Random(0)
    for _ in range(KILLS):
        kill_in_mid_trial(study, out, moments)
    run_study(study, out)
    run_study(study, tmp_path / "whole")
    assert_same(out / "slow", tmp_path / "whole" / "slow")
    left = sorted(path.name for path in (out / "slow").iterdir() if not path.name.startswith("."))
    assert left == ["evaluations", "run.log", "study.json", "trials"]
    attempts = [record.attempt for record in open_store(out / "slow").trial_records()]
    assert max(attempts) > 1, "no trial went on from its checkpoint"
