"""How long a large store takes to write in bulk, open and read, and the memory it takes.

python tests/bench/store_read.py [--rows 1000000] [--epochs 200]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from store_append import SPEC

from lrstudy.store import EVALUATIONS_SCHEMA, TRIALS_SCHEMA, StoreWriter, StudyInfo, open_store
from lrstudy.store.table_schema import evaluations_table, trials_table

READ = """
import resource, sys, time
from lrstudy.store import open_store
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
columns = sys.argv[2].split(",") if sys.argv[2] else None
store = open_store(sys.argv[1]); opened = time.perf_counter() - start
table = store.evaluations(columns); taken = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{table.num_rows:,} rows x {table.num_columns} columns: opened in {opened:.2f} s, "
      f"read in {taken:.2f} s,",
      f"{table.nbytes / 2**20:,.0f} MiB of data, {(peak - before) / 2**10:,.0f} MiB more at the peak")
"""


def fill(writer: StoreWriter, rows: int, epochs: int) -> None:
    """Append trials of so many epochs in bulk."""
    rng = np.random.default_rng(0)
    trials, per_append = rows // epochs, max(1, 32768 // epochs)
    for first in range(0, trials, per_append):
        numbers = np.arange(first, min(first + per_append, trials))
        size = len(numbers) * epochs
        ids = [f"lipschitz-tuned-tune-{number:06d}" for number in numbers]
        columns: dict[str, object] = {
            "trial_id": np.repeat(ids, epochs).tolist(),
            "phase": ["tune"] * size,
            "schedule": ["lipschitz-tuned"] * size,
            "seed": np.repeat(numbers, epochs),
        }
        for name in ("evaluation", "step", "samples", "epoch"):
            columns[name] = np.tile(np.arange(1, epochs + 1), len(numbers))
        columns["tokens"] = [None] * size
        for name in EVALUATIONS_SCHEMA.names[9:]:
            columns[name] = rng.random(size)
        now = datetime.now(UTC)
        ended: dict[str, object] = {name: pa.nulls(len(ids)) for name in TRIALS_SCHEMA.names}
        ended |= {"trial_id": ids, "phase": ["tune"] * len(ids), "schedule": ["lipschitz-tuned"] * len(ids)}
        ended |= {"seed": numbers, "params": ["{}"] * len(ids), "status": ["completed"] * len(ids)}
        ended |= {"started_at": [now] * len(ids), "ended_at": [now] * len(ids)}
        writer.append_tables(
            pa.table(
                [pa.array(columns[f.name], f.type) for f in EVALUATIONS_SCHEMA], schema=EVALUATIONS_SCHEMA
            ),
            pa.table([pa.array(ended[f.name]).cast(f.type) for f in TRIALS_SCHEMA], schema=TRIALS_SCHEMA),
        )
    writer.append_tables(evaluations_table([]), trials_table([]))


def main() -> None:
    """Write, then read in fresh processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with StoreWriter.create_or_open(folder, StudyInfo("bench", SPEC, "0", 0)) as writer:
            fill(writer, arguments.rows, arguments.epochs)
        print(f"{arguments.rows:,} rows written in bulk in {time.perf_counter() - start:.1f} s")
        print(f"{sum(len(open_store(folder).files(table)) for table in ('trials', 'epochs'))} files")
        for columns in (
            "",
            "trial_id,schedule,epoch,train_seconds,val_accuracy",
            "trial_id,epoch,val_accuracy",
        ):
            subprocess.run([sys.executable, "-c", READ, folder, columns], check=True)
        start = time.perf_counter()
        StoreWriter.create_or_open(folder, StudyInfo("bench", SPEC, "0", 0)).close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(
            f"opened for resume in {time.perf_counter() - start:.2f} s; this process's peak {peak:,.0f} MiB"
        )


if __name__ == "__main__":
    main()
