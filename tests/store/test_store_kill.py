"""A writer process that is killed: at random moments, in the midst of a file, and between its steps."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_samples import study

from lrstudy.store import StoreWriter, open_store

# Small chunks, so that kills also hit the step from one file to the next.
CHUNK_ROWS = 24
EPOCHS = 5
WRITER = f"""
import os, resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from store_samples import study, trial
from lrstudy.store import StoreWriter
with StoreWriter.create_or_open(sys.argv[1], study(), chunk_rows={CHUNK_ROWS}) as writer:
    print("open", flush=True)
    exec(sys.argv[2])
    done = len(writer.last_evaluations)
    for number in range(done, 100_000):
        writer.append(*trial(number, {EPOCHS}))
        print(number, flush=True)
"""
NOTHING = "pass"
# Beyond this size the kernel writes what fits and kills the process.
IN_THE_MIDST_OF_A_FILE = """
for number in range(3):
    writer.append(*trial(number, 5))
from pathlib import Path
limit = max(file.stat().st_size for file in Path(sys.argv[1]).rglob("*.parquet")) + 1
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""
BEFORE_STEP = """
calls, real = [], os.fsync
def fsync(descriptor):
    calls.append(descriptor)
    if len(calls) == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
"""


def start(folder: Path, trap: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), trap]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def last_said(process: subprocess.Popen[str]) -> int:
    """The number of the last trial that the writer said was stored, -1 for none."""
    assert process.stdout is not None
    said = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    return int(said[-1]) if said else -1


def check(folder: Path, said: int) -> int:
    """What holds after a kill at any moment, before anything is mended; the number of trials."""
    for file in folder.glob("*/*.parquet"):
        pq.read_table(file)  # whole
    store = open_store(folder)
    ids = store.trials(["trial_id"])["trial_id"].to_pylist()
    assert ids == [f"fixed-tune-{number:03d}" for number in range(len(ids))]
    assert len(ids) > said  # what was reported as stored is there
    rows = store.evaluations(["trial_id", "epoch"]).to_pylist()
    expected = [{"trial_id": name, "epoch": number} for name in ids for number in range(1, EPOCHS + 1)]
    # Nothing doubled, and every ended trial has its epochs. The next one's may be there, or some of them.
    assert rows[: len(expected)] == expected
    assert [row["epoch"] for row in rows[len(expected) :]] == [1, 2, 3, 4, 5][: len(rows) - len(expected)]
    return len(ids)


def check_mended(folder: Path) -> None:
    StoreWriter.create_or_open(folder, study(), chunk_rows=CHUNK_ROWS).close()
    store = open_store(folder)
    assert store.evaluations().num_rows == store.trials().num_rows * EPOCHS
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_kills_at_random_moments_tear_lose_and_double_nothing(tmp_path: Path) -> None:
    moments = random.Random(20260101)
    said, trials, kills = -1, 0, 0
    # A busy machine writes little between two kills.
    while kills < 10 or (trials <= 20 and kills < 100):
        process = start(tmp_path, NOTHING)
        time.sleep(moments.uniform(0, 0.25))
        process.kill()
        kills += 1
        said = max(said, last_said(process))
        trials = check(tmp_path, said)
    assert trials > 20  # the kills came in the midst of writing
    check_mended(tmp_path)


def test_a_kill_in_the_midst_of_a_file_leaves_the_file_before(tmp_path: Path) -> None:
    process = start(tmp_path, IN_THE_MIDST_OF_A_FILE)
    said = last_said(process)
    assert process.returncode == -signal.SIGXFSZ
    assert list(tmp_path.rglob("*.tmp"))
    assert check(tmp_path, said) >= 3
    check_mended(tmp_path)


@pytest.mark.parametrize("step", [1, 2, 3, 10, 11, 12])
def test_a_kill_before_any_step_leaves_what_was_there(tmp_path: Path, step: int) -> None:
    process = start(tmp_path, BEFORE_STEP.format(step=step))
    said = last_said(process)
    assert process.returncode == -signal.SIGKILL
    check(tmp_path, said)
    check_mended(tmp_path)
