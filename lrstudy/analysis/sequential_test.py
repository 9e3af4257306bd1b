"""Group-sequential tests: the price of looking at a study several times while it grows.

A study that runs until it is decided is looked at after R, 2 R, 4 R, … replicates. Each look could find a
difference by chance, so each may spend only a part of the error (Lan and DeMets 1983). The joint law of the
means at the looks is that of a Brownian motion at the shares of the replicates; the levels follow from it by
numerical integration (Armitage, McPherson and Rowe 1969). They are applied to the p-values of t-tests, as
Jennison and Turnbull 2000, section 3.8, recommend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from lrstudy.analysis.intervals import normal_quantile
from lrstudy.rules.looks import look_sizes

Array = NDArray[np.float64]

# The spread between replicates is not known before the second.
FEWEST_REPLICATES: Final = 2
_NODES: Final = 96
_GRID: Final = np.exp(np.linspace(math.log(1e-9), math.log(0.999), 120))
# No boundary is needed beyond this number of standard deviations.
_FAR: Final = 12.0


def sizes_of(study: Any) -> tuple[int, ...]:
    """Return the numbers of replicates at which a study is looked at; empty where its size is fixed.

    ``study`` is a ``StudyInfo``. A study that was extended was looked at before it was.
    """
    budget = study.spec["budget"]
    if budget.get("until") == "decided":
        first = int(budget.get("replicates") or 1)
        sizes = look_sizes(first, int(budget.get("most") or first), study.taken_looks)
    else:
        taken = {look.replicates for look in study.taken_looks}
        sizes = sorted(taken | {study.replicates(study.reference)}) if taken else []
    return tuple(size for size in sizes if size >= FEWEST_REPLICATES)


def spent(level: float, looks: Sequence[int]) -> tuple[float, ...]:
    """Return the error that may be spent up to each look: the part of ``level`` that the replicates are.

    Of the usual functions this one was nearly as powerful as the best (88 against 91% of simulated studies
    found 1.25 times as fast in up to 64 replicates), and found large differences in less than half of the
    replicates that O'Brien and Fleming's takes.
    """
    return tuple(level * replicates / looks[-1] for replicates in looks)


@lru_cache(maxsize=1024)
def levels(looks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """Return the two-sided level of the test at each look that keeps ``level`` over all of them.

    >>> [round(one, 4) for one in levels((4, 8, 16), 0.05)]
    [0.0125, 0.0161, 0.0322]
    """
    times = np.asarray(looks, dtype=float) / looks[-1]
    spending = spent(level, looks)
    found: list[float] = []
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # States of the Brownian motion that continue, and their probabilities; before the first look it is at 0.
    at, mass, before, used = np.zeros(1), np.ones(1), 0.0, 0.0
    for time, until in zip(times, spending, strict=True):
        step = math.sqrt(time - before)
        bound = _bound(at, mass, step, math.sqrt(time), until - used)
        found.append(2 * float(special.ndtr(-bound / math.sqrt(time))))
        points = bound * nodes
        density = np.exp(-0.5 * ((points[:, None] - at) / step) ** 2) @ mass
        density /= step * math.sqrt(2 * math.pi)
        at, mass, before, used = points, density * weights * bound, time, until
    return tuple(found)


def _bound(at: Array, mass: Array, step: float, scale: float, error: float) -> float:
    """Return the limit that the motion, now ``at``, is beyond after a ``step`` with probability ``error``."""

    def excess(bound: float) -> float:
        beyond = special.ndtr((at - bound) / step) + special.ndtr((-at - bound) / step)
        return float(beyond @ mass) - error

    far = _FAR * scale
    return far if excess(far) >= 0 else float(optimize.brentq(excess, 0.0, far, xtol=1e-10))


@lru_cache(maxsize=32)
def _table(looks: tuple[int, ...]) -> Array:
    """Return the logarithms of ``levels`` over a grid of overall levels, shape (levels, looks)."""
    return np.log([levels(looks, float(level)) for level in _GRID])


def overall_p(p_values: Sequence[float | None], looks: tuple[int, ...]) -> float | None:
    """Return the smallest overall level at which the test rejects at one of the looks so far.

    It takes the place of p where a study is looked at several times: at most alpha in a share alpha of
    studies without a difference, whenever they end. Interpolated between levels that are computed once.

    Args:
        p_values: of the looks so far, in order; None where a look had no test.
        looks: the numbers of replicates of all planned looks.
    """
    if len(looks) == 1:
        return next(iter(p_values), None)
    table, grid = _table(looks), np.log(_GRID)
    found = []
    for place, p_value in enumerate(p_values):
        if p_value is None:
            continue
        at = math.log(max(p_value, 1e-300))
        column = table[:, place]
        if at <= column[0]:  # beyond the grid: a constant ratio
            found.append(math.exp(grid[0] + at - column[0]))
        else:
            found.append(min(1.0, math.exp(float(np.interp(at, column, grid)))) if at < column[-1] else 1.0)
    return min(found, default=None)


def chance_to_decide(
    effect: float, error: float, degrees: float, share: float, level: float, margin: float
) -> float:
    """Return the predictive probability that the last look decides a comparison.

    The effect at the last look is predicted from what is known now (with a flat prior): Student's t around
    ``effect`` with ``degrees`` and the scale error·sqrt(1 - share). It decides where the interval at
    ``level`` excludes 0 or is inside ±``margin``.

    Args:
        effect, error: the log ratio now and its standard error.
        share: of the replicates of the last look, known by now; in (0, 1).
        level: two-sided, of the tests at the last look.
        margin: of equivalence, of the log ratio.
    """
    last = error * math.sqrt(share)
    scale = max(error * math.sqrt(1 - share), 1e-12)
    beyond = normal_quantile(1 - level / 2) * last

    def below(limit: float) -> float:
        return float(special.stdtr(degrees, (limit - effect) / scale))

    inside = margin - beyond
    equivalent = max(0.0, below(inside) - below(-inside)) if inside > 0 else 0.0
    return min(1.0, below(-beyond) + 1 - below(beyond) + equivalent)
