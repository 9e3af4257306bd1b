"""However a driver ends, nothing that it started stays, and nothing else is touched."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_studies import write_study

from lrstudy.tuning.cluster.reaper import VARIABLE

# Starts one process of each kind with the mark, says so, and waits.
DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from lrstudy.tuning.cluster.reaper import VARIABLE, reaper

def start(code, **options):
    return subprocess.Popen([sys.executable, "-c", code, sys.argv[1]], **options)

WAIT = "import time; time.sleep(600)"
with reaper() as mark:
    marked = {**os.environ, VARIABLE: mark}
    start(WAIT, env=marked)
    start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAIT, env=marked)
    stopped = start(WAIT, env=marked)
    start("import os\\nif os.fork() == 0:\\n os.setsid()\\n if os.fork() == 0:\\n  " + WAIT, env=marked)
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]], env={})"
    start("import subprocess, sys, time;" + child + ";time.sleep(600)", env=marked)
    start(WAIT)  # another program's
    if os.fork() == 0:  # holds the pipe to the reaper open
        time.sleep(600)
    time.sleep(1)
    os.kill(stopped.pid, 19)
    Path("ready").touch()
    if len(sys.argv) == 3:
        time.sleep(float(sys.argv[2]))
"""


ONE_AT_A_TIME = "[resources]\nmax_concurrent = 1\n"


def running(word: str, where: str = "cmdline") -> set[int]:
    """The processes that have a word on their command line, or in their environment."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if word.encode() in (folder / where).read_bytes():
                    found.add(int(folder.name))
            except OSError:
                continue
    return found


def wait_until(true: Callable[[], object], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture
def word() -> Iterator[str]:
    """Tells this test's processes; what is left of them is ended."""
    word = f"test-{uuid.uuid4().hex}"
    yield word
    for where in ("cmdline", "environ"):
        for pid in running(word, where):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("ending", ["killed", "ended"])
def test_what_carries_the_mark_is_ended_and_nothing_else(tmp_path: Path, word: str, ending: str) -> None:
    words = [sys.executable, "-c", DRIVER, word, *(["600"] if ending == "killed" else [])]
    driver = subprocess.Popen(words, cwd=tmp_path)
    wait_until((tmp_path / "ready").exists, "the driver starts")
    if ending == "killed":
        assert len(running(word)) >= 9
        driver.kill()
    # The other program, and the driver's fork.
    wait_until(lambda: len(running(word) - {driver.pid}) <= 2, f"left: {running(word)}", 60)
    if ending == "ended":
        driver.wait(60)
    time.sleep(1)
    assert len(running(word) - {driver.pid}) == 2
    driver.kill()
    driver.wait()


class Study:
    """A study in a session and terminal of its own, whose every process is told by a word."""

    def __init__(self, folder: Path, word: str) -> None:
        self.out, self.word = folder / "runs" / "slow", word
        self.terminal, end = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lrstudy", "run", str(folder / "study" / "slow.toml"), "--quiet"],
            cwd=folder,
            env={**os.environ, "LRSTUDY_TEST": word},
            start_new_session=True,
            stdin=end,
            stdout=end,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(end)

    def wait_for_ray(self) -> None:
        wait_until(
            lambda: len(running(VARIABLE, "environ") & running(self.word, "environ")) > 1, "Ray starts"
        )

    def wait_for_checkpoint(self) -> None:
        before = set(self.out.glob("checkpoints/*/*.pt"))
        wait_until(lambda: set(self.out.glob("checkpoints/*/*.pt")) - before, "a checkpoint")

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=300)
        os.close(self.terminal)
        wait_until(lambda: not running(self.word, "environ"), "nothing is left", 60)
        return self.process.returncode, said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a study that takes long enough, one trial at a time."""
    write_study(tmp_path / "study", seconds=0.05, epochs=200, trials=2, seeds=1, more=ONE_AT_A_TIME)
    return tmp_path


@pytest.mark.cluster
def test_a_signal_in_the_second_in_which_ray_starts_leaves_nothing(folder: Path, word: str) -> None:
    study = Study(folder, word)
    study.wait_for_ray()
    study.process.terminate()
    assert study.end() == (130, "interrupted\n")


@pytest.mark.cluster
def test_a_signal_to_all_the_driver_started_lets_epochs_end(folder: Path, word: str) -> None:
    study = Study(folder, word)
    study.wait_for_checkpoint()
    os.killpg(study.process.pid, signal.SIGINT)
    code, said = study.end()
    assert (code, said.count("\n")) == (130, 2), said
    assert said.startswith("stopping: running trials end after their next evaluation"), said
    assert "to continue: lrstudy resume runs/slow" in said
    assert list(study.out.glob("checkpoints/*/*.pt")), "running trials continue from here"


@pytest.mark.cluster
def test_a_second_signal_stops_at_once_without_a_trace(tmp_path: Path, word: str) -> None:
    # An epoch of three steps: the second signal comes before the evaluation for which the first one waits.
    write_study(tmp_path / "study", seconds=1.0, epochs=200, trials=2, seeds=1, more=ONE_AT_A_TIME)
    study = Study(tmp_path, word)
    study.wait_for_checkpoint()
    os.killpg(study.process.pid, signal.SIGHUP)
    time.sleep(0.5)
    study.process.terminate()
    code, said = study.end()
    assert code == 130, said
    assert said.startswith("stopping: running trials end after their next evaluation"), said
    assert "Traceback" not in said
    assert "SIGTERM received" not in said, "a stack of C++"
