"""Time and memory of a study against its number of trials: 100, 500 and 2,000 very short ones.

    python tests/bench/trials_scale.py [--trials 100,500,2000] [--epochs 1] [--lanes 0]

A trial is softmax regression on the digits, of one epoch if not told otherwise, so that what is measured is
Ray, the searcher and the store. Time per trial counts from the first trial's end to the last's; memory is
the driver's at its highest; files are those of the study's folder at the end. Every study has a process of
its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from lrstudy.spec import parse_study
from lrstudy.store import open_store


def measure(trials: int, epochs: int, lanes: int, folder: str) -> tuple[float, float, int]:
    """Seconds per trial, MiB of the driver, files."""
    from lrstudy.tuning import prepare

    study = parse_study(
        {
            "name": "many",
            "task": {
                "dataset": "digits",
                "model": "softmax-regression",
                "optimizer": "sgd",
                "batch_size": 512,
                "epochs": epochs,
            },
            "budget": {"trials": trials - 2, "confirm_seeds": 2, "search": "random"},
            "target": {"reference": "fixed", "values": [0.5]},
            "schedules": {"fixed": {"lr": {"low": 0.001, "high": 1.0, "log": True}}},
            "resources": {"lanes": lanes},
        },
        "bench",
    )
    ends: list[float] = []
    with prepare(study, folder) as ready:
        ready.start(lambda: ends.append(time.perf_counter()))
    records = open_store(ready.location).trial_records()
    assert len(records) == len(ends) == trials
    files = sum(path.is_file() for path in Path(folder).rglob("*"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (ends[-1] - ends[0]) / (trials - 1), memory, files


def apart(trials: int, epochs: int, lanes: int) -> tuple[float, float, int]:
    """``measure`` in a process and a folder of its own."""
    import trials_scale  # by the name that the process knows: it could not import __main__

    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(trials_scale.measure, trials, epochs, lanes, folder).result()


def main() -> None:
    """A line per number of trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", default="100,500,2000")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=0)
    given = parser.parse_args()
    first: float | None = None
    for trials in map(int, given.trials.split(",")):
        seconds, memory, files = apart(trials, given.epochs, given.lanes)
        first = first or seconds
        print(
            f"{trials:5} trials: {seconds:.4f} s per trial ({seconds / first:.2f} of the first line's),"
            f" {memory:.0f} MiB, {files} files",
            flush=True,
        )


if __name__ == "__main__":
    main()
