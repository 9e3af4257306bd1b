"""What an append costs and how many files it leaves, by the size of a full chunk.

    python tests/bench/store_append.py [--trials 2000] [--epochs 5]

Each trial is one append, as the driver does at its busiest. Prints the mean, 99th percentile and
first-500-against-last-500 ratio of the time per append, and the files that are left.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.store import StoreWriter, StudyInfo, TrialKey
from lrstudy.store.chunks import CHUNK_ROWS, chunk_capacity

COUNTS = ("evaluation", "step", "samples", "tokens", "epoch")
SPEC = {
    "task": {"epochs": 5},
    "budget": {"trials": 4, "confirm_seeds": 2},
    "target": {"metric": "val_accuracy", "values": None, "reference": "fixed"},
    "schedules": {"fixed": {"kind": "fixed", "lr": 0.1}},
}


def trial(number: int, epochs: int, rng: np.random.Generator) -> tuple[list, list]:
    """One finished trial with realistic (incompressible) values."""
    key = TrialKey(f"lipschitz-tuned-tune-{number:05d}", Phase.TUNE, "lipschitz-tuned", number)
    names = [field.name for field in fields(EvaluationRecord) if field.name not in (*COUNTS, "metrics")]
    values = rng.random((epochs, len(names))).tolist()
    rows = [
        (key, EvaluationRecord(**_counts(epoch), **dict(zip(names, value, strict=True))))
        for epoch, value in enumerate(values, start=1)
    ]
    now = datetime.now(UTC)
    end = TrialRecord(
        **asdict(key),
        params={"lr": values[0][0]},
        status=Status.COMPLETED,
        error=None,
        length=epochs,
        evaluations_run=epochs,
        steps_run=epochs * 45,
        epochs_run=float(epochs),
        best_val=0.5,
        best_evaluation=1,
        best_step=45,
        best_epoch=1.0,
        objective=0.5,
        **dict.fromkeys(("test_loss", "test_accuracy", "test_r2")),
        started_at=now,
        ended_at=now,
        node="node",
        device="cpu",
        attempt=1,
    )
    return rows, [end]


def _counts(epoch: int) -> dict[str, Any]:
    counts = (epoch, epoch * 45, epoch * 1437, None, float(epoch))
    return dict(zip(COUNTS, counts, strict=True))


def measure(trials: int, epochs: int, chunk_rows: int) -> str:
    """Append so many trials; one line of figures."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        with StoreWriter.create_or_open(
            folder, StudyInfo("bench", SPEC, "0", 0), chunk_rows=chunk_rows
        ) as writer:
            for number in range(trials):
                rows = trial(number, epochs, rng)
                start = time.perf_counter()
                writer.append(*rows)
                seconds.append(time.perf_counter() - start)
        files = len(list(Path(folder).rglob("*.parquet")))
    cost = np.array(seconds) * 1000
    drift = cost[-500:].mean() / cost[:500].mean()
    return (
        f"at most {chunk_rows:>6} rows a chunk: {cost.mean():5.1f} ms an append, "
        f"p99 {np.percentile(cost, 99):5.1f}, last 500 / first 500 {drift:.2f}, {files} files; "
        f"10M epochs: {_files(10_000_000, chunk_rows)}"
    )


def _files(rows: int, chunk_rows: int) -> int:
    files = 0
    while rows > 0:
        rows -= min(chunk_rows, chunk_capacity(files))
        files += 1
    return files


def main() -> None:
    """Measure several chunk sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{arguments.trials} trials of {arguments.epochs} epochs, one append each (in use: {CHUNK_ROWS})")
    for chunk_rows in (1024, 8192, CHUNK_ROWS):
        print(measure(arguments.trials, arguments.epochs, chunk_rows), flush=True)


if __name__ == "__main__":
    main()
