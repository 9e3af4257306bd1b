"""A local Ray that ends too early ends the study with one message and a documented exit code."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fault_studies import write_study
from ray_nodes import family

from lrstudy.errors import EXIT_STOPPED
from lrstudy.tuning.cluster import ray_watch
from lrstudy.tuning.cluster.ray_watch import ray_watched

SLEEP = shutil.which("sleep")


@contextmanager
def process_called(name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    assert SLEEP is not None
    (folder / name).symlink_to(SLEEP)
    with subprocess.Popen([folder / name, "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_watch, "_PERIOD_SECONDS", 0.05)
    monkeypatch.setattr(ray_watch, "_GRACE_SECONDS", 0.05)


@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_the_end_of_a_process_that_ray_needs_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_watch, "_connected", lambda: True)
    lost: queue.Queue[str] = queue.Queue()
    with process_called(name, tmp_path) as process, ray_watched(lost.put):
        time.sleep(0.5)
        assert lost.empty(), "it runs"
        process.kill()
        assert lost.get(timeout=30) == name


def test_a_session_that_was_closed_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_watch, "_connected", lambda: False)
    lost: queue.Queue[str] = queue.Queue()
    with process_called("raylet", tmp_path) as process, ray_watched(lost.put):
        time.sleep(0.5)
        process.kill()
        time.sleep(0.5)
    assert lost.empty()


@pytest.mark.cluster
def test_a_study_whose_ray_is_killed_says_how_to_continue(tmp_path: Path) -> None:
    one_at_a_time = "[resources]\nmax_concurrent = 1\n"
    study = write_study(tmp_path, seconds=0.02, epochs=16, trials=2, seeds=1, more=one_at_a_time)
    command = [sys.executable, "-m", "lrstudy", "run", str(study), "--out", str(tmp_path / "runs")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as driver:
        pid = _child(driver, "gcs_server")
        while not list((tmp_path / "runs").glob("*/checkpoints/*/*.pt")):
            assert driver.poll() is None, "the study ended before Ray could be killed"
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        assert driver.stderr is not None
        said = driver.stderr.read()
        assert driver.wait(60) == EXIT_STOPPED, said
    assert "gcs_server has ended" in said
    assert "to continue: lrstudy resume" in said


def _child(driver: subprocess.Popen[str], name: str) -> int:
    while driver.poll() is None:
        for pid in family(driver.pid):
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
                if Path(os.fsdecode(command)).name == name:
                    return pid
        time.sleep(0.1)
    raise AssertionError(f"the study ended before there was a {name}")
