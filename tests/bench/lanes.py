"""What lanes save: CPU time per trial of the digits study's trials, alone and side by side. Without Ray.

    python tests/bench/lanes.py [--lanes 1,4,16,64] [--epochs 10] [--rounds 3] [--profile]

Rounds alternate between the plain loop and every number of lanes, all on one thread; printed are the
medians over the rounds of CPU seconds per trial and of the ratio within a round. ``--profile`` prints
where the time of 16 lanes goes.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from lrstudy.engine.lanes import LaneGroup, why_not
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study, load_study
from lrstudy.tasks import TaskData, load_data

STUDY = Path(__file__).resolve().parents[2] / "studies" / "digits.toml"
CPU = torch.device("cpu")
KINDS = (("fixed", {"lr": 0.1}), ("step", {"lr": 0.1}), ("cyclic", {"max_lr": 0.3}), ("lipschitz", {}))


def configs(count: int) -> list[TrialConfig]:
    """Trials of the study's kinds in turn."""
    turns = [KINDS[i % len(KINDS)] for i in range(count)]
    return [TrialConfig(f"t{i}", Phase.TUNE, kind, kind, params, i) for i, (kind, params) in enumerate(turns)]


def plain(study: Study, data: TaskData) -> float:
    """CPU seconds per trial, one after another."""
    started = time.process_time()
    for config in configs(len(KINDS)):
        for _ in Training(study, data, config, CPU).run():
            pass
    return (time.process_time() - started) / len(KINDS)


def side_by_side(study: Study, data: TaskData, lanes: int) -> float:
    """CPU seconds per trial in so many lanes, building them included."""
    started = time.process_time()
    group = LaneGroup(study, data, configs(lanes), CPU)
    while group.active:
        group.run_to_evaluation()
    return (time.process_time() - started) / lanes


def ratios(counts: Sequence[int], epochs: int, rounds: int) -> dict[int, float]:
    """Plain over lanes, by the number of lanes."""
    torch.set_num_threads(1)
    study = load_study(STUDY, [f"task.epochs={epochs}"])
    data = load_data(study.task, study.seed, None)
    reason = why_not(study, data, [kind for kind, _ in KINDS])
    assert reason is None, reason
    plain(study, data)
    gc.freeze()  # as a worker does
    alone: list[float] = []
    found: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        alone.append(plain(study, data))
        for count in counts:
            found[count].append(side_by_side(study, data, count))
    print(f"alone    {statistics.median(alone):.4f} s of CPU per trial of {epochs} epochs")
    medians = {}
    for count, seconds in found.items():
        medians[count] = statistics.median(a / s for a, s in zip(alone, seconds, strict=True))
        each = statistics.median(seconds)
        print(f"{count:2} lanes {each:.4f} s of CPU per trial, {medians[count]:.1f} times less")
    return medians


def profile(epochs: int) -> None:
    """Where the time of 16 lanes goes."""
    torch.set_num_threads(1)
    study = load_study(STUDY, [f"task.epochs={epochs}"])
    data = load_data(study.task, study.seed, None)
    side_by_side(study, data, 16)
    gc.freeze()
    profiler = cProfile.Profile()
    profiler.runcall(side_by_side, study, data, 16)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)


def main() -> None:
    """Print a line per number of lanes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", default="1,4,16,64")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profile(given.epochs)
    else:
        ratios([int(count) for count in given.lanes.split(",")], given.epochs, given.rounds)


if __name__ == "__main__":
    main()
