"""The speedups that a study can show before it is run, and a better split of its budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from lrstudy.analysis.components import Components, power
from lrstudy.analysis.families import PRIMARY_LEVEL
from lrstudy.analysis.sequential_test import FEWEST_REPLICATES, levels
from lrstudy.analysis.verdict import POWER, detectable_speedup
from lrstudy.rules.looks import look_sizes

# Standard deviations of the log time to target in this repository's studies of digits: .4 between seeds, .25
# between tunings of a schedule, .35 between splits, which all schedules of a replicate share.
TYPICAL: Final = Components(seed=0.4**2, tuning=0.25**2, split=0.35**2, replicates=0)
# Tuning runs that end at the target took 0.2 to 0.6 of a confirm run there.
EARLY_COST: Final = 0.4
_MOST_REPLICATES: Final = 64
_MOST_SEEDS: Final = 20
_WIDEST: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Design:
    """The runs of a study for each schedule, and its comparisons.

    In each of ``replicates`` ``trials`` tuning runs, each ``trial_cost`` of a confirm run, and ``seeds`` of
    those. With ``most`` (not None) the study looks at its replicates until they are as many. ``level`` is
    that of the family of ``comparisons`` at the primary target.
    """

    replicates: int
    trials: int
    seeds: int
    comparisons: int
    tuned: bool = True
    most: int | None = None
    trial_cost: float = 1.0
    level: float = PRIMARY_LEVEL

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of replicates at which the study is looked at; one where its size is fixed."""
        sizes = look_sizes(self.replicates, self.most or self.replicates)
        return tuple(size for size in sizes if size >= FEWEST_REPLICATES) or (self.replicates,)

    def cost(self, replicates: int, seeds: int) -> float:
        """Return the cost of a schedule with so many replicates and seeds, in confirm runs."""
        return replicates * (self.trials * self.trial_cost + seeds)


@dataclass(frozen=True, slots=True)
class Split:
    """A number of replicates and of seeds in each, with the speedup that they show in 4 of 5 studies."""

    replicates: int
    seeds: int
    speedup: float
    cost: float


def shown_speedups(design: Design, components: Components) -> tuple[float, float]:
    """Return the speedups that 4 of 5 studies find at the first look, and at the last.

    Infinite where no difference can be shown.

    >>> eight = Design(replicates=8, trials=16, seeds=3, comparisons=4)
    >>> [round(one, 2) for one in shown_speedups(eight, TYPICAL)]
    [1.96, 1.96]
    """
    if not design.tuned and design.looks == (1,):
        # Pairs of seeds share nothing: the variance of a difference is that of both.
        cv = math.sqrt(2 * (components.seed or 0.0))
        found = detectable_speedup(design.seeds, cv, design.comparisons, design.level)
        return found, found
    each = levels(design.looks, design.level / design.comparisons) if len(design.looks) > 1 else None
    limits = (
        (design.level,) if each is None else (each[0] * design.comparisons, each[-1] * design.comparisons)
    )
    at = (design.looks[0], design.looks[-1])
    first, last = (
        _detectable(design, components, replicates, limit)
        for replicates, limit in zip(at, (limits[0], limits[-1]), strict=True)
    )
    return first, last


def _detectable(design: Design, components: Components, replicates: int, level: float) -> float:
    """Return the smallest speedup that is found with 80% power, by bisection."""

    def finds(log_ratio: float) -> bool:
        chance = power(
            components,
            math.exp(log_ratio),
            replicates=replicates,
            seeds=design.seeds,
            comparisons=design.comparisons,
            level=level,
        )
        return chance >= POWER

    high = 0.1
    while not finds(high):
        high *= 2
        if high > math.log(_WIDEST):
            return math.inf
    low = 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    return math.exp(high)


def best_split(design: Design, components: Components) -> Split:
    """Return the replicates and seeds of at most the same cost, of a fixed size, that show the least speedup.

    The tuning trials of a replicate stay as they are: how fewer of them change the spread between tunings is
    not known.
    """
    budget = design.cost(design.replicates, design.seeds) * (1 + 1e-9)
    splits = [
        _split(design, components, replicates, seeds)
        for seeds in range(1, _MOST_SEEDS + 1)
        # More replicates never show less.
        if (replicates := min(_MOST_REPLICATES, int(budget // design.cost(1, seeds)))) >= 1
    ]
    return min(splits, key=lambda one: (round(one.speedup, 3), one.cost))


def cheapest_for(design: Design, components: Components, speedup: float) -> Split | None:
    """Return the cheapest replicates and seeds that show a speedup; None up to 64 replicates."""
    found = []
    for seeds in range(1, _MOST_SEEDS + 1):
        low, high = FEWEST_REPLICATES, _MOST_REPLICATES + 1
        while low < high:
            middle = (low + high) // 2
            enough = _split(design, components, middle, seeds).speedup <= speedup
            low, high = (low, middle) if enough else (middle + 1, high)
        if low <= _MOST_REPLICATES:
            found.append(_split(design, components, low, seeds))
    return min(found, key=lambda one: one.cost, default=None)


def _split(design: Design, components: Components, replicates: int, seeds: int) -> Split:
    fixed = Design(
        replicates,
        design.trials,
        seeds,
        design.comparisons,
        design.tuned,
        None,
        design.trial_cost,
        design.level,
    )
    shown = shown_speedups(fixed, components)[1]
    return Split(replicates, seeds, shown, design.cost(replicates, seeds))
