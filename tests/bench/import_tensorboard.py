"""The import of many TensorBoard runs: seconds and memory of reading, and of the whole command.

    python tests/bench/import_tensorboard.py [--runs 1000] [--points 10000] [--folder /tmp/tensorboard-runs]

TensorBoard's own writer makes ten runs, the others are copies of them in other folders. A run has
``--points`` points: a training loss at each step and a validation loss at every tenth.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WRITTEN = 10
SCHEDULES = ("fixed", "cosine", "step", "linear")
READ = "from lrstudy.trackers import read_any; print(sum(map(len, read_any({folder!r}, {tags!r}))), 'rows')"


def write_run(folder: Path, points: int, seed: int, only_validation: bool) -> None:
    """One run, as TensorBoard's writer leaves it."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    rng = np.random.default_rng(seed)
    writer = EventFileWriter(str(folder), max_queue_size=10_000)
    for step in range(1, (points if only_validation else points * 10 // 11) + 1):
        tags = ["train/loss", "val/loss"] if step % 10 == 0 else ["train/loss"]
        for tag in ["val/loss"] if only_validation else tags:
            value = 1 / step + 0.01 * rng.random()
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=summary))
    writer.close()


def make_runs(folder: Path, runs: int, points: int, only_validation: bool) -> None:
    """All runs: ``folder/SCHEDULE/SEED/events…``; those that exist stay."""
    for number in range(runs):
        to = folder / SCHEDULES[number % len(SCHEDULES)] / str(number // len(SCHEDULES))
        if to.exists():
            continue
        if number < WRITTEN:
            write_run(to, points, number, only_validation)
        else:
            at = number % WRITTEN
            shutil.copytree(folder / SCHEDULES[at % len(SCHEDULES)] / str(at // len(SCHEDULES)), to)


def measured(command: list[str]) -> str:
    """Run a command; return its seconds, processor time and memory in one line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{wall:.1f} s, {cpu:.1f} s of CPU, {after.ru_maxrss / 2**20:.2f} GiB at most"


def main() -> None:
    """Make the runs, read them, import them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/tensorboard-runs"))
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--only-validation", action="store_true", help="each point is an evaluation")
    given = parser.parse_args()
    make_runs(given.folder, given.runs, given.points, given.only_validation)
    read = READ.format(folder=str(given.folder), tags=given.tag)
    print("read", measured([sys.executable, "-c", read]))
    if given.read_only:
        return
    out = given.folder.with_name(given.folder.name + "-imported")
    shutil.rmtree(out, ignore_errors=True)
    tags = [part for tag in given.tag for part in ("--tag", tag)]
    options = [
        "--schedule-from",
        "path:2",
        "--seed-from",
        "path:1",
        "--reference",
        "fixed",
        "--out",
        str(out),
    ]
    command = [sys.executable, "-m", "lrstudy", "import", str(given.folder), *options, *tags]
    print("import", measured(command))


if __name__ == "__main__":
    main()
