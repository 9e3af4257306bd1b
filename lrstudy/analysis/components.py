"""Seeds, tuning and data split as sources of variation, and the replicates and seeds that decide.

Variances are of the logarithm of the time to target. Two schedules of a replicate share its split, which
therefore cancels; seeds and tunings are their own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from scipy import special

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import PRIMARY_LEVEL
from lrstudy.analysis.intervals import t_quantile
from lrstudy.analysis.judgement import luck_of
from lrstudy.analysis.replicates import degrees_of_freedom
from lrstudy.analysis.trial_table import Array
from lrstudy.analysis.verdict import POWER

MOST_REPLICATES: Final = 10_000
_SMALL: Final = 1e-6
_HALF: Final = 0.5
_CERTAIN: Final = 12.0


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of the log time to a target, by source.

    ``seed`` is between runs of a winner; ``tuning`` between the winners of a schedule's tunings, with what a
    split changes for one schedule and not for another; ``split`` what it changes for all. With one replicate
    ``split`` is not known (None), and ``tuning`` is an estimate from the tuning trials, if any.
    """

    seed: float | None
    tuning: float | None
    split: float | None
    replicates: int

    def difference(self, seeds: int) -> float | None:
        """Return the variance of a replicate's difference between two tuned schedules; None if unknown."""
        if self.seed is None or self.tuning is None:
            return None
        return 2 * (self.tuning + self.seed / seeds)

    def to_json(self) -> dict[str, float | int | None]:
        """Return the variances under stable names, and the replicates that they are from."""
        return asdict(self)

    def sentence(self, seeds: int) -> str:
        """Say how large each part is, and what narrows a comparison; empty without an estimate.

        ``seeds`` are the confirm seeds of a replicate.
        """
        parts = [
            f"{math.sqrt(variance):.2f} between {name}"
            for variance, name in (
                (self.seed, "seeds"),
                (self.tuning, "tunings of a schedule"),
                (self.split, "splits of the data"),
            )
            if variance is not None
        ]
        if not parts:
            return ""
        listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        said = f"Standard deviation of the log time: {listed}."
        if self.seed is None or self.tuning is None:
            return said
        share = self.tuning / max(_SMALL, self.tuning + self.seed / seeds)
        if share > _HALF:
            return (
                f"{said} Tuning makes {share:.0%} of the error of a comparison: more replicates narrow it, "
                "more confirm seeds hardly."
            )
        share = 1 - share
        return (
            f"{said} Seeds make {share:.0%} of the error of a comparison: more of them or more replicates "
            "narrow it."
        )


def components_of(contest: Contest, target: float) -> Components:
    """Estimate the components of a study at a target, by analysis of variance over tuned schedules."""
    runs = contest.runs
    numbers = {run.replicate for each in runs.values() for run in each}
    within: list[tuple[float, int]] = []
    for each in runs.values():
        for number in numbers:
            cell = [run for run in each if run.replicate == number]
            if len(cell) > 1:
                logs = np.log(contest.hits(cell, target).restricted)
                within.append((float(logs.var(ddof=1)), len(cell) - 1))
    degrees = sum(count for _, count in within)
    seed = sum(variance * count for variance, count in within) / degrees if degrees else None
    if not contest.replicated:
        luck = luck_of(contest, target)
        return Components(seed, None if luck is None else luck.variance, None, min(1, len(numbers)))
    table = contest.replicates(target, contest.timing.clock, contest.timing.horizon)
    tuned = [row for row, name in enumerate(table.names) if contest.tuned(name)]
    logs = table.logs[tuned] if len(tuned) > 1 else table.logs
    logs = logs[np.isfinite(logs).sum(axis=1) > 1]
    logs = logs[:, np.isfinite(logs).all(axis=0)]
    cells = [sum(run.replicate == number for run in each) for each in runs.values() for number in numbers]
    seeds = float(np.mean([count for count in cells if count] or [1]))
    tuning, split = _two_way(logs, (seed or 0.0) / seeds)
    return Components(seed, tuning, split, len(table.numbers))


def _two_way(logs: Array, noise: float) -> tuple[float | None, float | None]:
    """Variances of the interaction and of the columns of a two-way table, shape (schedules, replicates).

    ``noise`` is the variance that a cell has without them.
    """
    rows, columns = logs.shape
    if rows < 2 or columns < 2:
        return None, None
    centred = logs - logs.mean(axis=1, keepdims=True)
    common = centred.mean(axis=0)
    between = float((common**2).sum()) * rows / (columns - 1)
    rest = float(((centred - common) ** 2).sum()) / ((rows - 1) * (columns - 1))
    return max(0.0, rest - noise), max(0.0, (between - rest) / rows)


def power(
    components: Components,
    ratio: float,
    *,
    replicates: int,
    seeds: int,
    comparisons: int = 1,
    level: float = PRIMARY_LEVEL,
) -> float:
    """Return the probability that a study finds a schedule that is ``ratio`` times as fast.

    With R replicates of ``seeds`` confirm seeds, ``comparisons`` schedules against the reference and one look
    at the end: that of a t-test at level / comparisons (Bonferroni in place of Holm). With one replicate the
    degrees of freedom are those of the tuning luck (``tuning_luck``), about one for each schedule.

    >>> digits = Components(seed=0.12, tuning=0.06, split=0.1, replicates=1)
    >>> [round(power(digits, 1.5, replicates=r, seeds=3, comparisons=4), 2) for r in (1, 8, 16)]
    [0.03, 0.36, 0.78]
    """
    variance = components.difference(seeds)
    if variance is None or not ratio > 0:
        return 0.0
    degrees = float(comparisons + 1) if replicates == 1 else degrees_of_freedom(replicates, comparisons)
    noncentral = abs(math.log(ratio)) / math.sqrt(max(variance, _SMALL) / replicates)
    limit = t_quantile(1 - level / (2 * max(1, comparisons)), degrees)
    if noncentral > limit + _CERTAIN:  # beyond what the distribution function can be computed for
        return 1.0
    return float(1 - special.nctdtr(degrees, noncentral, limit))


def replicates_to_decide(
    effect: float,
    variance: float,
    margin: float,
    *,
    comparisons: int = 1,
    level: float = PRIMARY_LEVEL,
) -> int | None:
    """Replicates in all that would decide with 80% power, if effect and variance stay as they are now.

    Decided means that the interval at level / comparisons excludes 0 or is inside the margin.

    Args:
        effect: of the log ratio.
        variance: of a replicate's difference.
        margin: of equivalence, as a fraction.

    Returns:
        None where it would take more than 10,000.
    """
    inside = -math.log1p(-margin) - abs(effect) if margin > 0 else 0.0
    tail = level / (2 * max(1, comparisons))
    fewest = min(_replicates_for(distance, variance, tail, comparisons) for distance in (abs(effect), inside))
    return fewest if fewest <= MOST_REPLICATES else None


def _replicates_for(distance: float, variance: float, tail: float, comparisons: int) -> int:
    """Return the fewest replicates whose limits clear ``distance`` with 80% power."""
    if distance <= 0:
        return MOST_REPLICATES + 1

    def clears(replicates: int) -> bool:
        degrees = degrees_of_freedom(replicates, comparisons)
        width = t_quantile(1 - tail, degrees) + t_quantile(POWER, degrees)
        return width * math.sqrt(variance / replicates) <= distance

    low, high = 2, MOST_REPLICATES + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if clears(middle) else (middle + 1, high)
    return low


def best_seeds_per_tuning(components: Components, tuning_cost: float, seed_cost: float) -> int | None:
    """Return the confirm seeds of a replicate with which a budget narrows comparisons most.

    k = sqrt(tuning_cost / seed_cost · seed / tuning): the minimum of (tuning + seed / k)(tuning_cost +
    k·seed_cost). None where the variances are not known, or tunings do not differ.

    >>> best_seeds_per_tuning(Components(0.12, 0.06, None, 8), tuning_cost=80, seed_cost=6)
    5
    """
    if not components.seed or not components.tuning or seed_cost <= 0:
        return None
    best = math.sqrt(tuning_cost / seed_cost * components.seed / components.tuning)
    lower = max(1, math.floor(best))

    def price(k: int) -> float:
        return (components.tuning or 0) * (tuning_cost + k * seed_cost) + (components.seed or 0) * (
            tuning_cost / k + seed_cost
        )

    return min((lower, lower + 1), key=price)
