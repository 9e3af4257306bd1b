"""What a report of a large study takes: seconds and memory of ``lrstudy report``, from a cold start.

    python tests/bench/report_scale.py [--trials 5000] [--epochs 200] [--schedules 10]

Writes a store of simulated learning curves (saturating, noisy, some diverged) and runs the command on it in
a process of its own. ``--trials 50000`` makes ten million rows.

On 2 cores of an AMD EPYC, other work beside it: 1,000,000 rows 21 s and 0.64 GiB; 10,000,000 rows 219 s and
4.16 GiB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lrstudy.store import EVALUATIONS_SCHEMA, TRIALS_SCHEMA, StoreWriter, StudyInfo
from lrstudy.store.table_schema import params_to_json

START = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK_TRIALS = 1000


def info(trials: int, epochs: int, schedules: list[str], seeds: int) -> StudyInfo:
    """A study of so many schedules whose confirm runs are ``seeds`` each."""
    tune = trials // len(schedules) - seeds
    space = {"lr": {"low": 1e-3, "high": 3.0, "log": True}}
    spec = {
        "task": {"dataset": "digits", "model": "mlp", "optimizer": "sgd", "epochs": epochs},
        "budget": {"trials": tune, "confirm_seeds": seeds},
        "target": {"metric": "val_accuracy", "values": [0.9, 0.95], "reference": schedules[0]},
        "schedules": {name: {"kind": "fixed", "fixed": {}, "space": space} for name in schedules},
    }
    return StudyInfo("scale", spec, "0", 0)


def write(folder: Path, trials: int, epochs: int, schedules: list[str], seeds: int) -> int:
    """Fill a store; returns its number of epoch rows."""
    with StoreWriter.create_or_open(folder, info(trials, epochs, schedules, seeds)):
        pass
    for table in ("trials", "evaluations"):
        (folder / table).mkdir(exist_ok=True)
    each, rng, rows = trials // len(schedules), np.random.default_rng(0), 0
    for place, schedule in enumerate(schedules):
        for first in range(0, each, CHUNK_TRIALS):
            numbers = np.arange(first, min(first + CHUNK_TRIALS, each))
            rows += _chunk(folder, schedule, place, numbers, each - seeds, epochs, rng)
    return rows


def _chunk(folder: Path, schedule: str, place: int, numbers: np.ndarray, tune: int, epochs: int, rng) -> int:
    confirm = numbers >= tune
    seeds = np.where(confirm, numbers - tune, numbers)
    phases = np.where(confirm, "confirm", "tune")
    ids = [
        f"{schedule}-{phase}-{seed:05d}" for phase, seed in zip(phases.tolist(), seeds.tolist(), strict=True)
    ]
    lr = np.where(confirm, 0.3, 10 ** rng.uniform(-3, 0.5, len(numbers)))
    speed = 5 + 2 * place + 20 * np.abs(np.log10(lr / 0.3)) + rng.normal(0, 0.5, len(numbers)).clip(-2)
    epoch = np.arange(1, epochs + 1)
    accuracy = 0.97 * (1 - np.exp(-epoch / speed[:, None])) + rng.normal(0, 0.003, (len(numbers), epochs))
    diverged = (lr > 2.5) & ~confirm
    columns = {
        "trial_id": np.repeat(ids, epochs),
        "phase": np.repeat(phases, epochs),
        "schedule": np.repeat(schedule, len(numbers) * epochs),
        "seed": np.repeat(seeds, epochs),
        "evaluation": np.tile(epoch, len(numbers)),
        "epoch": np.tile(epoch, len(numbers)),
        "step": np.tile(epoch * 45, len(numbers)),
        "samples": np.tile(epoch * 1437, len(numbers)),
        "lr": np.repeat(lr, epochs),
        "val_accuracy": accuracy.ravel(),
        "train_accuracy": accuracy.ravel() + 0.01,
        "val_loss": 1 - accuracy.ravel(),
        "train_loss": 0.9 - accuracy.ravel(),
    }
    _write(folder / "evaluations", columns, EVALUATIONS_SCHEMA, rng)
    best = accuracy.max(axis=1)
    trials = {
        "trial_id": ids,
        "phase": phases,
        "schedule": [schedule] * len(ids),
        "seed": seeds,
        "params": [params_to_json({"lr": value}) for value in lr.tolist()],
        "status": np.where(diverged, "diverged", "completed"),
        "evaluations_run": np.full(len(ids), epochs),
        "epochs_run": np.full(len(ids), epochs),
        "best_val": best,
        "best_evaluation": accuracy.argmax(axis=1) + 1,
        "objective": np.where(diverged, np.nan, best),
        "started_at": [START] * len(ids),
        "ended_at": [START + timedelta(seconds=9)] * len(ids),
        "node": ["node"] * len(ids),
        "device": ["cpu"] * len(ids),
        "attempt": np.ones(len(ids), int),
    }
    _write(folder / "trials", trials, TRIALS_SCHEMA, rng)
    return len(columns["epoch"])


def _write(folder: Path, columns: dict, schema: pa.Schema, rng: np.random.Generator) -> None:
    length = len(columns["trial_id"])
    arrays = []
    for name in schema.names:
        field = schema.field(name)
        if name in columns:
            values = pa.array(columns[name])
        elif name.endswith("_seconds"):
            values = pa.array(rng.random(length))
        else:
            values = pa.nulls(length)
        arrays.append(values.cast(field.type))
    number = len(list(folder.glob("*.parquet")))
    pq.write_table(pa.table(arrays, schema=schema), folder / f"{number:05d}.parquet")


def measure(
    trials: int, epochs: int, schedules: int = 10, seeds: int = 20
) -> tuple[int, float, float, float]:
    """Rows, seconds, CPU seconds and MiB of the page of a report; its memory is the largest child's."""
    with tempfile.TemporaryDirectory() as scratch:
        run, page = Path(scratch) / "scale", Path(scratch) / "report"
        rows = write(run, trials, epochs, [f"schedule-{number}" for number in range(schedules)], seeds)
        command = [sys.executable, "-m", "lrstudy", "report", str(run), "--out", str(page)]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(done.stderr)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return rows, seconds, cpu, (page / "report.html").stat().st_size / 2**20


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--schedules", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    rows, seconds, cpu, size = measure(options.trials, options.epochs, options.schedules, options.seeds)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"{options.trials} trials, {rows} rows: {seconds:.1f} s ({cpu:.1f} s of CPU), "
        f"at most {memory:.2f} GiB; page {size:.1f} MiB"
    )


if __name__ == "__main__":
    main()
