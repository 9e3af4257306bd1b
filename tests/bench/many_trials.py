"""A study of many short trials: whether its driver grows or slows down, and how many files it leaves.

    python tests/bench/many_trials.py --trials 2000

Compares the last quarter of the trials with the first. Exit code 1 when the time per trial or the driver's
memory grew by more than a fifth, or when more than 40 files are left.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from lrstudy.spec import parse_study
from lrstudy.tuning import prepare

STUDY = """
name = "many"
[task]
dataset = "iris"
model = "softmax-regression"
optimizer = {{ name = "sgd", lr = 0.1 }}
batch_size = 64
epochs = 2
[budget]
trials = {trials}
confirm_seeds = 2
search = "random"
[target]
values = [0.8]
reference = "fixed"
[schedules.fixed]
lr = {{ low = 0.01, high = 1.0, log = true }}
"""
GROWTH, FILES = 1.2, 40


def resident() -> float:
    """This process's memory, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--trials", type=int, default=2000)
    given = arguments.parse_args()
    study = parse_study(tomllib.loads(STUDY.format(trials=given.trials - 2)), "many.toml")
    moments, memory = [time.monotonic()], [resident()]

    def on_change() -> None:
        moments.append(time.monotonic())
        memory.append(resident())

    with tempfile.TemporaryDirectory() as folder:
        with prepare(study, folder) as ready:
            ready.start(on_change)
            assert ready.run.done
        files = sum(path.is_file() for path in (Path(folder) / "many").rglob("*"))
    quarter = (len(moments) - 1) // 4
    # The first trials wait for the workers to start.
    skipped = min(20, quarter // 2)
    first = (moments[quarter] - moments[skipped]) / (quarter - skipped)
    last = (moments[-1] - moments[-1 - quarter]) / quarter
    print(f"{len(moments) - 1} trials in {moments[-1] - moments[0]:.0f} s")
    print(f"per trial: first quarter {first * 1000:.1f} ms, last {last * 1000:.1f} ms, x{last / first:.2f}")
    print(f"driver's memory: {memory[quarter]:.0f} MiB, at the end {memory[-1]:.0f} MiB, ", end="")
    print(f"x{memory[-1] / memory[quarter]:.2f}")
    print(f"files: {files}")
    sys.exit(last > GROWTH * first or memory[-1] > GROWTH * memory[quarter] or files > FILES)


if __name__ == "__main__":
    main()
