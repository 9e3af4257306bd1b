"""A writer process killed with SIGKILL at random moments, many times."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from store_samples import study

from lrstudy.store import StoreWriter, open_store

# Small chunks, so that kills also hit the step from one file to the next.
CHUNK_ROWS = 24
EPOCHS = 5
TRIALS = 100_000
WRITER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from store_samples import study, trial
from lrstudy.store import StoreWriter
with StoreWriter.create_or_open(sys.argv[1], study(), chunk_rows={CHUNK_ROWS}) as writer:
    print("open", flush=True)
    done = sum(1 for last in writer.last_epochs.values() if last == {EPOCHS})
    for number in range(done, {TRIALS}):
        writer.append(*trial(number, {EPOCHS}))
        print(number, flush=True)
"""


def run_and_kill(folder: Path, seconds: float) -> int:
    """The number of the last trial that the writer said was stored, -1 for none."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    time.sleep(seconds)
    process.kill()
    said = [line for line in process.stdout.read().split("\n") if line]
    process.wait()
    process.stdout.close()
    return int(said[-1]) if said else -1


def test_kills_at_random_moments_tear_lose_and_double_nothing(tmp_path: Path) -> None:
    moments = random.Random(20260101)
    said = -1
    for _ in range(12):
        said = max(said, run_and_kill(tmp_path, moments.uniform(0, 0.25)))
        for file in tmp_path.glob("*/*.parquet"):
            pq.read_table(file)  # whole, whatever the moment
        ids = open_store(tmp_path).trials(["trial_id"])["trial_id"].to_pylist()
        assert len(ids) > said  # what was reported as stored is there
    StoreWriter.create_or_open(tmp_path, study(), chunk_rows=CHUNK_ROWS).close()
    store = open_store(tmp_path)
    ids = store.trials(["trial_id"])["trial_id"].to_pylist()
    assert ids == [f"fixed-tune-{number:03d}" for number in range(len(ids))]
    epochs = store.epochs(["trial_id", "epoch"]).to_pylist()
    expected = [{"trial_id": name, "epoch": number} for name in ids for number in range(1, EPOCHS + 1)]
    assert epochs == expected
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(ids) > 20  # the kills came in the midst of writing
