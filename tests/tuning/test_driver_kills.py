"""The driver is killed with SIGKILL: nothing that it started stays, and no metric shows it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_studies import assert_same, read_study, run_study, run_without_ray, write_study
from test_reaper import running, wait_until

from lrstudy.store import open_store

pytestmark = pytest.mark.cluster

RUN = """
import sys
from pathlib import Path
from fault_studies import run_study
run_study(Path(sys.argv[1]), Path(sys.argv[2]))
"""
# Two workers would each import torch after every kill.
ONE_AT_A_TIME = "[resources]\nmax_concurrent = 1\n"


class Driver:
    """A driver in its own process; ``word`` is in the environment of all that it starts."""

    def __init__(self, study: Path, out: Path) -> None:
        self.folder, self.out, self.word = study.parent, out / "slow", f"test-{uuid.uuid4().hex}"
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.child = subprocess.Popen(
            [sys.executable, "-c", RUN, str(study), str(out)],
            env={**os.environ, "PYTHONPATH": path, "LRSTUDY_TEST": self.word},
        )

    def wait_for(self, seen: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 300
        while not seen():
            assert time.monotonic() < deadline, f"no {what} in five minutes"
            assert self.child.poll() is None, "the study ended before it could be killed"
            time.sleep(0.02)

    def wait_for_checkpoint(self) -> None:
        before = self.checkpoints()
        self.wait_for(lambda: self.checkpoints() - before, "checkpoint")

    def checkpoints(self) -> set[str]:
        return {path.name for path in (self.out / "checkpoints").glob("*/*.pt")}

    def stop_worker(self) -> None:
        """Stop the process that trains, as its parent's end alone would leave it."""
        marks = sorted(self.folder.glob("began-*"), key=lambda mark: mark.stat().st_mtime)
        os.kill(int(marks[-1].name.partition("-")[2]), signal.SIGSTOP)

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()
        try:
            wait_until(lambda: not running(self.word, "environ"), "nothing is left", 60)
        finally:
            for pid in running(self.word, "environ"):
                os.kill(pid, signal.SIGKILL)


def test_kills_leave_no_process_and_no_trace_in_any_metric(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", seconds=0.02, epochs=16, trials=2, seeds=1, more=ONE_AT_A_TIME)
    out, moments = tmp_path / "killed", random.Random(0)

    first = Driver(study, out)
    first.wait_for_checkpoint()
    first.stop_worker()
    first.kill()

    second = Driver(study, out)
    second.wait_for(lambda: list(second.out.glob("trials/*.parquet")), "trial")
    second.wait_for_checkpoint()
    time.sleep(moments.uniform(0.0, 0.3))
    second.kill()

    run_study(study, out)
    run_without_ray(read_study(study), tmp_path / "whole", [study.parent])
    assert_same(out / "slow", tmp_path / "whole")
    left = sorted(path.name for path in (out / "slow").iterdir() if not path.name.startswith("."))
    assert left == ["evaluations", "run.log", "study.json", "trials"]
    attempts = [record.attempt for record in open_store(out / "slow").trial_records()]
    assert max(attempts) > 1, "no trial went on from its checkpoint"
