"""Are the speedup's intervals and verdicts calibrated? Simulates studies whose truth is known.

    python tests/bench/calibration.py > tests/bench/calibration.md

A study has a reference and four schedules on the same seeds. Times are lognormal, the runs of one seed
correlated across schedules, and rounded up to whole epochs. The first schedule is truly 1, 1.25 or 1.5 times
as fast, the other three are as fast as the reference. The epoch budget is the quantile of the pooled times of
reference and first schedule that leaves the stated share of runs without a hit. The truth is the ratio of
restricted means in whole epochs, from 1,000,000 simulated pairs. Every interval, p-value and verdict comes
from the functions that a report calls.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrstudy.analysis.intervals import holm
from lrstudy.analysis.speedup import Speedup, paired_speedup
from lrstudy.analysis.verdict import decide

SEEDS = (5, 10, 20)
CENSORED = (0.0, 0.2, 0.5)
FACTORS = (1.0, 1.25, 1.5)
MEDIAN_EPOCHS = 30.0
SCHEDULES = 4
MARGIN = 0.05
BOOTSTRAP_SEED = 0
STUDY_SEED = 2027  # not the one the interval's two constants were chosen with

Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How simulated times are drawn."""

    spread: float  # standard deviation of the log time over seeds
    correlation: float  # of two log times of one seed

    def times(self, rng: np.random.Generator, shape: tuple[int, ...], factors: list[float]) -> Array:
        """Whole epochs to target, shape (*shape, len(factors))."""
        shared = rng.standard_normal((*shape, 1))
        own = rng.standard_normal((*shape, len(factors)))
        z = math.sqrt(self.correlation) * shared + math.sqrt(1 - self.correlation) * own
        return np.asarray(np.ceil(MEDIAN_EPOCHS / np.array(factors) * np.exp(self.spread * z)))


@dataclass
class Tally:
    """What came of the studies of one cell."""

    with_interval: int = 0
    covered: int = 0
    faster: int = 0
    slower: int = 0
    false_verdicts: int = 0  # studies with any faster or slower among the schedules that are neither

    def add(self, speedups: list[Speedup], verdicts: list[str], truth: float, factor: float) -> None:
        first = speedups[0]
        if first.low is not None and first.high is not None:
            self.with_interval += 1
            self.covered += first.low <= truth <= first.high
        self.faster += verdicts[0] == "faster"
        self.slower += verdicts[0] == "slower"
        equal = verdicts if factor == 1 else verdicts[1:]
        self.false_verdicts += any(v in ("faster", "slower") for v in equal)


def horizon_and_truth(world: World, factor: float, censored: float) -> tuple[float, float]:
    """Epoch budget and true ratio of restricted means."""
    pool = world.times(np.random.default_rng(1), (1_000_000,), [1.0, factor])
    horizon = float(pool.max() + 1e6 if censored == 0 else np.quantile(pool, 1 - censored))
    restricted = np.minimum(pool, horizon).mean(axis=0)
    return horizon, float(restricted[0] / restricted[1])


def simulate(world: World, studies: int, n: int, factor: float, censored: float, schedules: int) -> Tally:
    """One cell of the table."""
    horizon, truth = horizon_and_truth(world, factor, censored)
    rng = np.random.default_rng([STUDY_SEED, n, round(100 * factor), round(100 * censored)])
    times = world.times(rng, (studies, n), [1.0, factor, *[1.0] * (schedules - 1)])
    hits, restricted = times <= horizon, np.minimum(times, horizon)
    tally = Tally()
    for t, hit in zip(restricted, hits, strict=True):
        speedups = [
            paired_speedup(
                t[:, 0],
                t[:, k],
                horizon=horizon,
                resolution=1.0,
                reference_hits=hit[:, 0],
                schedule_hits=hit[:, k],
                seed=BOOTSTRAP_SEED,
            )
            for k in range(1, schedules + 1)
        ]
        adjusted = holm([s.p_value for s in speedups])
        verdicts = [
            decide(s, p, hits=int(hit[:, k].sum()), reference_hits=int(hit[:, 0].sum()), margin=MARGIN)
            for k, (s, p) in enumerate(zip(speedups, adjusted, strict=True), start=1)
        ]
        tally.add(speedups, verdicts, truth, factor)
    return tally


def percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}" if total else "–"


def table(world: World, studies: int, verdicts: bool) -> tuple[list[str], list[float]]:
    """Markdown rows, and every coverage in percent."""
    lines = [
        f"Log times with standard deviation {world.spread}, correlation {world.correlation} within a seed:",
        "",
        "| seeds | without a hit | coverage at 1× | 1.25× | 1.5× | all"
        + (" | false verdict at 1× | 1.25× | 1.5× | power at 1.25× | 1.5× |" if verdicts else " |"),
        "|" + " ---: |" * (11 if verdicts else 6),
    ]
    coverages = []
    for n in SEEDS:
        for censored in CENSORED:
            cells = [
                simulate(world, studies, n, factor, censored, SCHEDULES if verdicts else 1)
                for factor in FACTORS
            ]
            covered, known = sum(c.covered for c in cells), sum(c.with_interval for c in cells)
            coverages += [100 * c.covered / c.with_interval for c in cells]
            row = [
                str(n),
                f"{100 * censored:.0f}%",
                *(percent(c.covered, c.with_interval) for c in cells),
                percent(covered, known),
            ]
            if verdicts:
                row += [percent(c.false_verdicts, studies) for c in cells]
                row += [percent(c.faster, studies) for c in cells[1:]]
            lines.append("| " + " | ".join(row) + " |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines, coverages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    arguments = parser.parse_args()
    error = 100 * math.sqrt(0.95 * 0.05 / arguments.studies)
    print(
        f"""# Calibration of the speedup's interval and verdict

Made by `python tests/bench/calibration.py > tests/bench/calibration.md` (numpy {np.__version__}), with
{arguments.studies} simulated studies for each number of seeds, share of runs without a hit and true speed of
the first schedule. Seeds are fixed: the table repeats; they are not those with which the interval's two
constants were chosen. All numbers are percent; a coverage of 95 has a standard error of {error:.1f}.

- **coverage**: 95% intervals of the first schedule's speedup that hold the true ratio of restricted means,
  among studies in which it or the reference hit at all (else there is no interval).
- **false verdict**: studies in which any schedule that is exactly as fast as the reference is called faster
  or slower, after Holm over four schedules (at 1.25× and 1.5×: any of the three others).
- **power**: studies in which the first schedule is called faster, after Holm over four schedules. With 5
  seeds the smallest p of a sign-flip test is 2/32: nothing can be called faster or slower. With four
  schedules it takes 8 seeds.
"""
    )
    for world, verdicts in [
        (World(0.3, 0.5), True),
        (World(0.6, 0.5), False),
        (World(0.3, 0.0), False),
        (World(0.3, 0.8), False),
    ]:
        lines, coverages = table(world, arguments.studies, verdicts)
        print("\n".join(lines))
        print(f"\nCoverage from {min(coverages):.1f} to {max(coverages):.1f}.\n", flush=True)


if __name__ == "__main__":
    main()
