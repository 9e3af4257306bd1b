"""Calibration of intervals and verdicts: simulates studies whose truth is known.

    python tests/bench/calibration.py > tests/bench/calibration.md

First whole studies with all sources of variation (``designs.py``), by design: one tuning, several
replicates, and replicates until decided. Then the speedup over seeds alone, given the winners: a reference
and four schedules on the same seeds, times lognormal, the runs of one seed correlated across schedules, and
rounded up to whole epochs. The first schedule is truly 1, 1.25 or 1.5 times as fast, the other three are as
fast as the reference. The epoch budget is the quantile of the pooled times of reference and first schedule
that leaves the stated share of runs without a hit. The truth is the ratio of restricted means in whole
epochs, from 1,000,000 simulated pairs. Every interval, p-value and verdict comes from the functions that a
report calls.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import designs
import numpy as np
from designs import Design
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
class SeedWorld:
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
class SeedTally:
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


def horizon_and_truth(world: SeedWorld, factor: float, censored: float) -> tuple[float, float]:
    """Epoch budget and true ratio of restricted means."""
    pool = world.times(np.random.default_rng(1), (1_000_000,), [1.0, factor])
    horizon = float(pool.max() + 1e6 if censored == 0 else np.quantile(pool, 1 - censored))
    restricted = np.minimum(pool, horizon).mean(axis=0)
    return horizon, float(restricted[0] / restricted[1])


def simulate(
    world: SeedWorld, studies: int, n: int, factor: float, censored: float, schedules: int
) -> SeedTally:
    """One cell of the table."""
    horizon, truth = horizon_and_truth(world, factor, censored)
    rng = np.random.default_rng([STUDY_SEED, n, round(100 * factor), round(100 * censored)])
    times = world.times(rng, (studies, n), [1.0, factor, *[1.0] * (schedules - 1)])
    hits, restricted = times <= horizon, np.minimum(times, horizon)
    tally = SeedTally()
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
            decide(
                s,
                p,
                hits=int(hit[:, k].sum()),
                reference_hits=int(hit[:, 0].sum()),
                runs=n,
                margin=MARGIN,
            )
            for k, (s, p) in enumerate(zip(speedups, adjusted, strict=True), start=1)
        ]
        tally.add(speedups, verdicts, truth, factor)
    return tally


def percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}" if total else "–"


def table(world: SeedWorld, studies: int, verdicts: bool) -> tuple[list[str], list[float]]:
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


WORLDS = (
    designs.World("to 95% of digits: seeds .33, tunings .31, splits .12"),
    designs.World("to 97% of digits: seeds .46, tunings .22, splits .45", seed=0.46, depth=1.35, split=0.45),
    designs.World(
        "schedules that differ: seeds .25–.5, tunings .16–.33",
        seed=(0.3, 0.5, 0.25, 0.25, 0.4),
        depth=(1.5, 2.0, 1.0, 1.0, 1.9),
    ),
    designs.World("the last two schedules untuned", depth=(1.9, 1.9, 1.9, 0.0, 0.0)),
    designs.World("heavier tails of seeds (Student's t, 4 degrees of freedom)", seed=0.4, tails=True),
    designs.World("a third of the runs without a hit", length=16.0),
)
DESIGNS = (
    Design("1 × (16 + 10), old allowance", 1, 10, old=True),
    Design("1 × (16 + 10)", 1, 10),
    Design("2 × (16 + 5)", 2, 5),
    Design("4 × (16 + 5)", 4, 5),
    Design("8 × (16 + 3)", 8, 3),
    Design("16 × (16 + 3)", 16, 3),
    Design("until decided, 4 to 32 × (16 + 3)", 4, 3, most=32),
)
EQUAL, DIFFERENT = (1.0, 1.0, 1.0, 1.0), (1.25, 1.5, 2.0, 1.0)
HEAD = (
    "| design | coverage, all equal | some faster | false verdict, all equal | some faster "
    "| power at 1.25× | 1.5× | 2× | replicates, all equal | some faster |"
)
MANY = designs.World("19 schedules", schedules=19)


def design_row(world: designs.World, design: Design, studies: int) -> str:
    """A row of a table of designs."""
    repeat = world.schedules // 4 + 1
    found = [
        designs.simulate(world, design, (factors * repeat)[: world.schedules], studies, STUDY_SEED + place)
        for place, factors in enumerate((EQUAL, DIFFERENT))
    ]
    cells = [
        design.name,
        *(f"{each.coverage:.1f}" for each in found),
        *(percent(each.wrong, studies) for each in found),
        *(percent(int(each), studies) for each in found[1].rightly[:3]),
        *(f"{np.mean(each.replicates):.1f}" for each in found),
    ]
    row = "| " + " | ".join(cells) + " |"
    print(row, file=sys.stderr, flush=True)
    return row


def design_tables(studies: int, workers: int) -> str:
    """Markdown: a table of all designs for every world."""
    cells: Sequence[tuple[designs.World, Design]] = [(w, d) for w in WORLDS for d in DESIGNS]
    cells = [*cells, *((MANY, d) for d in DESIGNS[3:6])]
    with ProcessPoolExecutor(workers) as pool:
        rows = list(pool.map(design_row, *zip(*cells, strict=True), [studies] * len(cells)))
    said = []
    for world in (*WORLDS, MANY):
        said += [
            f"{world.name[0].upper()}{world.name[1:]}:",
            "",
            HEAD,
            "| --- |" + " ---: |" * 9,
            *(row for (each, _), row in zip(cells, rows, strict=True) if each is world),
            "",
        ]
    return "\n".join(said)


def equivalence_table(studies: int, workers: int) -> str:
    """Markdown: false and true verdicts of equivalence by the spread of a replicate's difference."""
    limit = -math.log1p(-MARGIN)
    cells = [
        (spread, effect, looks)
        for spread in (0.01, 0.03, 0.06, 0.1, 0.15)
        for looks, effect in (((8,), limit), ((4, 8, 16, 32), limit), ((4, 8, 16, 32), 0.0))
    ]
    with ProcessPoolExecutor(workers) as pool:
        found = list(
            pool.map(
                designs.called_equivalent,
                *zip(*cells, strict=True),
                [studies] * len(cells),
                [STUDY_SEED] * len(cells),
            )
        )
    lines = []
    for place in range(0, len(cells), 3):
        one, four, equal = found[place : place + 3]
        shown = [f"{each[0]:.1f} ({each[1]:.1f}) | {each[2]:.1f} ({each[3]:.1f})" for each in (one, four)]
        lines.append(f"| {cells[place][0]} | {' | '.join(shown)} | {equal[1]:.1f} | {equal[3]:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    error = 100 * math.sqrt(0.95 * 0.05 / arguments.studies)
    print(
        f"""# Calibration of intervals and verdicts

Made by `python tests/bench/calibration.py --studies {arguments.studies} > tests/bench/calibration.md` (numpy
{np.__version__}), with {arguments.studies} simulated studies for each cell. Seeds are fixed: the tables
repeat. All numbers but the replicates are percent; a coverage of 95 has a standard error of {error:.1f} or
less.

## Designs of a study

A reference and four schedules, each tuned with 16 configurations; *R × (16 + k)* is R replicates of the
tuning with k confirm seeds each. Standard deviations are of the log time. The old allowance for the luck of
the tuning is that of earlier versions.

- **coverage**: 95% intervals of all schedules' speedups that hold the truth, which is the mean over studies.
  With looks: the interval that is reported, whenever the comparison ended.
- **false verdict**: studies in which any schedule that is exactly as fast as the reference is called faster
  or slower: all four where all are equal, else one. The primary target has 4% (the old allowance 5%).
- **power**: studies in which the schedule that is so much faster is called faster.
- **replicates**: of a schedule, in the mean.

{design_tables(arguments.studies, arguments.workers)}
## Equivalence

Four schedules differ from the reference by exactly the margin of equivalence, 5%, or not at all. The chance
of *equivalent* at any look: of any schedule of a study, and in brackets of one schedule. *Interval alone*:
the 95% interval is inside the margin. *Corrected*: two one-sided tests over the looks, after Holm over the
schedules at 4%, agree with it; this is the verdict. *Spread*: the standard deviation of a replicate's
difference of log times.

| spread | by the margin, one look at 8: interval alone | corrected | looks at 4, 8, 16, 32: interval alone \
| corrected | equal, the same looks, a schedule: interval alone | corrected |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{equivalence_table(arguments.studies, arguments.workers)}

## The speedup over seeds, given the winners

What one tuning's confirm seeds say of the configurations that won, before the luck of the tuning.

- **coverage**: 95% intervals of the first schedule's speedup that hold the true ratio of restricted means,
  among studies in which it or the reference hit at all (else there is no interval).
- **false verdict**: studies in which any schedule that is exactly as fast as the reference is called faster
  or slower, after Holm over four schedules at 5% (at 1.25× and 1.5×: any of the three others).
- **power**: studies in which the first schedule is called faster, after Holm over four schedules. With 5
  seeds the smallest p of a sign-flip test is 2/32: nothing can be called faster or slower. With four
  schedules it takes 8 seeds.
"""
    )
    for world, verdicts in [
        (SeedWorld(0.3, 0.17), True),
        (SeedWorld(0.5, 0.17), False),
        (SeedWorld(0.3, 0.8), False),
    ]:
        lines, coverages = table(world, arguments.studies, verdicts)
        print("\n".join(lines))
        print(f"\nCoverage from {min(coverages):.1f} to {max(coverages):.1f}.\n", flush=True)


if __name__ == "__main__":
    main()
