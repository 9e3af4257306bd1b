"""Import of many long runs: wall time, processor time and memory, on one core.

    OMP_NUM_THREADS=1 taskset -c 0 python tests/bench/import_scale.py --runs 1000 --points 10000

Predicted: a run of 10,000 points is 20 arrays of 80 kB, which numpy and Parquet pass at 100 MB/s or more, so
that 1,000 runs take 20 s and, with the tables themselves (240 MB), less than 1 GB.

On one core of an AMD EPYC: 10,000,000 evaluations 10.8 s of the core (57.9 s by the clock, beside 17 other
processes) and 929 MB; with a validation at every 20th point 5.0 s and 570 MB.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from lrstudy.store import ImportOptions, import_histories, open_store
from lrstudy.store.log_formats import LogTable


def tables(runs: int, points: int, every: int) -> Iterator[LogTable]:
    """Yield a table for each run: a loss at each point, a validation at every ``every``-th."""
    steps = np.arange(1, points + 1)
    for run in range(runs):
        rng = np.random.default_rng(run)
        level = 1 / (1 + steps / (200 + run % 50)) + rng.normal(0, 0.01, points)
        columns = {
            "step": steps,
            "seconds": steps * 0.1,
            "train/loss": level,
            "val/loss": np.ma.MaskedArray(level + 0.1, steps % every != 0),
        }
        constants = {"run.name": f"run {run}", "config.schedule": f"s{run % 10}", "config.seed": run // 10}
        yield LogTable(f"run-{run}", columns, [None] * points, constants=constants)


def _read(arguments: argparse.Namespace, _: str) -> list[LogTable]:
    return list(tables(arguments.runs, arguments.points, arguments.every))


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1, help="points between two validations")
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), time.process_time()
        read = partial(_read, arguments)
        options = ImportOptions(schedule_from=["config.schedule"], name="x")
        (made,) = import_histories(["synthetic"], Path(folder), options, read)
        wall, processor = time.perf_counter() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet")) / 1e6
        rows = open_store(made.location).trials().num_rows
    print(
        f"{arguments.runs} runs of {arguments.points} points, {made.evaluations} evaluations, {rows} trials:"
    )
    print(f"{wall:.1f} s ({processor:.1f} s of one core), {peak:.0f} MB at most, {size:.0f} MB of Parquet")


if __name__ == "__main__":
    main()
