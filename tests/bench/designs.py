"""Simulated studies with all sources of variation: seeds, tuning, split; used by ``calibration.py``.

A tuning draws 16 configurations. Each has a place x in its search space, at which the log time to the target
is larger by depth·x² than at the best, and an objective of -x² with noise: the winner is the best by the
objective, not by the time. That is luck; confirm runs of the winner differ by their seeds, and all schedules
of a replicate share the shift of its split. Times are whole epochs, restricted to the length of a trial.
Every interval, p-value and verdict comes from the functions that a report calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lrstudy.analysis.bands import earliest
from lrstudy.analysis.families import PRIMARY_LEVEL, PRIMARY_SHARE
from lrstudy.analysis.intervals import holm, t_quantile, t_two_sided
from lrstudy.analysis.open_comparisons import futile
from lrstudy.analysis.replicates import Replicates, difference, replicated_speedup
from lrstudy.analysis.speedup import Speedup, paired_speedup, paired_variation
from lrstudy.analysis.tuning_luck import pooled_luck, winner_variance, with_tuning
from lrstudy.analysis.verdict import decide
from lrstudy.rules.looks import look_sizes

Array = NDArray[np.float64]
CONFIGURATIONS = 16
MARGIN = 0.05
MEDIAN_EPOCHS = 10.0
_NEVER = Speedup(None, None, None, None, 0)


@dataclass(frozen=True)
class World:
    """Standard deviations of the log time; one per schedule (the reference first) or one for all."""

    name: str
    seed: float | tuple[float, ...] = 0.33
    depth: float | tuple[float, ...] = 1.9  # tuning .30 by the noise of the objective
    split: float = 0.12
    interaction: float = 0.1  # of schedule and split
    tails: bool = False  # Student's t with 4 degrees of freedom in place of the normal
    length: float = 40.0
    schedules: int = 4
    noise: float = 0.5  # of the objective

    def draw(self, rng: np.random.Generator, replicates: int, seeds: int, speeds: Array) -> Draw:
        """One study; ``speeds`` are the logarithms of the schedules' speeds, the reference first."""
        count = self.schedules + 1
        depth = np.broadcast_to(self.depth, count)[:, None, None]
        place = rng.uniform(-1, 1, (count, replicates, CONFIGURATIONS))
        order = np.argsort(place**2 + self.noise * rng.standard_normal(place.shape), axis=-1)
        offsets = depth * np.take_along_axis(place, order, -1) ** 2
        centre = (
            math.log(MEDIAN_EPOCHS)
            - speeds[:, None, None]
            + self.split * rng.standard_normal((1, replicates, 1))
            + self.interaction * rng.standard_normal((count, replicates, 1))
        )
        spread = np.broadcast_to(self.seed, count)[:, None, None]

        def runs(logs: Array, number: int) -> Array:
            shape = (count, replicates, number)
            z = rng.standard_t(4, shape) / math.sqrt(2) if self.tails else rng.standard_normal(shape)
            return np.asarray(np.ceil(np.exp(logs + spread * z)))

        tuned = tuple(bool(each > 0) for each in depth.ravel())
        confirm, tuning = runs(centre + offsets[..., :1], seeds), runs(centre + offsets, CONFIGURATIONS)
        return Draw(self.length, confirm, tuning, tuned)

    def speeds(self, seeds: int, factors: Sequence[float]) -> Array:
        """Speeds with which schedules of factor 1 have the same mean log time, whatever their spreads."""
        equal = self.truth(seeds, np.zeros(self.schedules + 1))
        return np.concatenate([[0.0], np.log(np.array(factors)) - equal])

    def truth(self, seeds: int, speeds: Array) -> Array:
        """Mean differences of the log restricted times, over 40,000 replicates."""
        logs = self.draw(np.random.default_rng(1), 40_000, seeds, speeds).table().logs
        return np.asarray((logs[0] - logs[1:]).mean(axis=1))


@dataclass(frozen=True)
class Draw:
    """Times of a study's confirm runs, shape (schedules, replicates, seeds), and of its tuning runs.

    ``tuned``: a schedule's winner was chosen among several configurations.
    """

    length: float
    confirm: Array
    tuning: Array
    tuned: tuple[bool, ...]

    def table(self) -> Replicates:
        times = np.minimum(self.confirm, self.length)
        early = earliest(times, self.confirm <= self.length, 1.0)
        names = tuple(map(str, range(len(times))))
        numbers = tuple(range(1, times.shape[1] + 1))
        return Replicates(names, numbers, np.log(times.mean(axis=-1)), np.log(early.mean(axis=-1)))


@dataclass
class Tally:
    """What came of the studies of one cell."""

    studies: int = 0
    intervals: list[bool] = field(default_factory=list)
    wrong: int = 0  # studies with a false verdict on a schedule that is neither faster nor slower
    rightly: Array = field(default_factory=lambda: np.zeros(0))
    replicates: list[float] = field(default_factory=list)

    def add(
        self,
        found: Sequence[Speedup],
        verdicts: Sequence[str],
        spent: Sequence[int],
        truth: Array,
        factors: Sequence[float],
    ) -> None:
        self.studies += 1
        for one, true in zip(found, truth, strict=True):
            if one.low is not None and one.high is not None:
                self.intervals.append(math.log(one.low) <= true <= math.log(one.high))
        called = [verdict in ("faster", "slower") for verdict in verdicts]
        self.wrong += any(
            call for call, factor, verdict in zip(called, factors, verdicts, strict=True) if factor == 1
        )
        right = np.array([verdict == "faster" for verdict in verdicts], dtype=float)
        self.rightly = right if not self.rightly.size else self.rightly + right
        self.replicates.append(float(np.mean(spent)))

    @property
    def coverage(self) -> float:
        return 100 * sum(self.intervals) / max(1, len(self.intervals))


@dataclass(frozen=True)
class Design:
    """How often and on how many seeds a study repeats its tuning; ``most``: until it is decided."""

    name: str
    replicates: int
    seeds: int
    most: int = 0
    old: bool = False

    def judge(self, draw: Draw) -> tuple[list[Speedup], list[str], list[int]]:
        """Intervals, verdicts and replicates of the schedules after the reference."""
        if self.replicates == 1:
            return _one_tuning(draw, old=self.old)
        return _replicated(draw, self)


def _one_tuning(draw: Draw, *, old: bool) -> tuple[list[Speedup], list[str], list[int]]:
    confirm, hits = np.minimum(draw.confirm, draw.length)[:, 0], (draw.confirm <= draw.length)[:, 0]
    tuning = np.log(np.minimum(draw.tuning, draw.length))[:, 0]
    estimates = [
        _estimate(t, np.log(c)) if tuned else (0.0, 0.0)
        for t, c, tuned in zip(tuning, confirm, draw.tuned, strict=True)
    ]
    found = []
    for row in range(1, len(confirm)):
        speedup = paired_speedup(
            confirm[0],
            confirm[row],
            horizon=draw.length,
            resolution=1.0,
            reference_hits=hits[0],
            schedule_hits=hits[row],
            seed=0,
        )
        if old:
            variance = estimates[0][0] + estimates[row][0]
            found.append(_old_allowance(speedup, confirm[0], confirm[row], variance))
        else:
            luck = pooled_luck([each for each, tuned in zip(estimates, draw.tuned, strict=True) if tuned])
            assert luck is not None
            tuned = draw.tuned[0] + draw.tuned[row]
            found.append(with_tuning(speedup, confirm[0], confirm[row], luck, tuned, 0.95).over_tunings)
    share = 1.0 if old else PRIMARY_SHARE
    return found, _verdicts(found, hits.sum(axis=-1), hits.shape[-1], share), [1] * len(found)


def _estimate(tuning: Array, confirm: Array) -> tuple[float, float]:
    between = float(confirm.var(ddof=1))
    times, variances = tuning.copy(), np.full(tuning.size, between)
    times[0], variances[0] = confirm.mean(), between / confirm.size
    return winner_variance(times, variances), between


def _old_allowance(speedup: Speedup, reference: Array, schedule: Array, variance: float) -> Speedup:
    """The allowance of earlier versions: of the two schedules alone, with the seeds' degrees of freedom."""
    if speedup.ratio is None or speedup.low is None or speedup.high is None or speedup.p_value is None:
        return speedup
    degrees = reference.size - 1
    error = math.sqrt((paired_variation(reference, schedule) or 0.0) ** 2 / reference.size + variance)
    if variance <= 0:
        return speedup
    effect = math.log(speedup.ratio)
    half = t_quantile(0.975, degrees) * error
    return Speedup(
        speedup.ratio,
        min(speedup.low, math.exp(effect - half)),
        max(speedup.high, math.exp(effect + half)),
        max(speedup.p_value, t_two_sided(effect / error, degrees)),
        speedup.pairs,
    )


def _replicated(draw: Draw, design: Design) -> tuple[list[Speedup], list[str], list[int]]:
    whole = draw.table()
    logs, early = whole.logs.copy(), whole.early.copy()
    names = whole.names[1:]
    sizes = tuple(look_sizes(design.replicates, design.most)) if design.most else (design.replicates,)
    looks = sizes if design.most else ()
    spent = dict.fromkeys(names, 0)
    found, verdicts, open_ = dict.fromkeys(names, _NEVER), dict.fromkeys(names, "inconclusive"), list(names)
    for size in sizes:
        for name in open_:
            spent[name] = size
        for row, name in enumerate(names, start=1):
            logs[row, spent[name] :] = np.nan
            early[row, spent[name] :] = np.nan
        kept = Replicates(whole.names, whole.numbers, logs, early).until(size)
        hits = np.array([(row <= draw.length).sum() for row in draw.confirm[:, :size]])
        found = {
            name: replicated_speedup(kept, name, looks, 0.95, hit=bool(hits[0] or hits[row]), margin=MARGIN)
            for row, name in enumerate(names, start=1)
        }
        adjusted = holm([one.p_value for one in found.values()])
        told = _verdicts(list(found.values()), hits, size * design.seeds, PRIMARY_SHARE)
        verdicts = dict(zip(names, told, strict=True))
        left = sum(p is None or p > PRIMARY_LEVEL for p in adjusted)
        open_ = [
            name
            for name in open_
            if verdicts[name] == "inconclusive"
            and (seen := difference(kept, name)) is not None
            and not futile(seen, size, looks, PRIMARY_LEVEL / max(1, left), MARGIN)
        ]
        if not open_ or not design.most:
            break
        # Rows of a later round are there for the open schedules alone.
        logs, early = whole.logs.copy(), whole.early.copy()
    return list(found.values()), list(verdicts.values()), list(spent.values())


def _verdicts(found: Sequence[Speedup], hits: Array, runs: int, share: float) -> list[str]:
    adjusted = holm([one.p_value for one in found])
    equal = holm([one.equivalence_p for one in found])
    return [
        decide(
            one,
            None if p is None else min(1.0, p / share),
            hits=int(hits[row]),
            reference_hits=int(hits[0]),
            runs=runs,
            margin=MARGIN,
            p_equivalent=None if q is None else min(1.0, q / share),
        )
        for row, (one, p, q) in enumerate(zip(found, adjusted, equal, strict=True), start=1)
    ]


def simulate(world: World, design: Design, factors: Sequence[float], studies: int, seed: int) -> Tally:
    """One cell of the table."""
    speeds = world.speeds(design.seeds, factors)
    truth = world.truth(design.seeds, speeds)
    rng = np.random.default_rng([seed, design.replicates, design.seeds, design.most])
    tally = Tally()
    for _ in range(studies):
        draw = world.draw(rng, design.most or design.replicates, design.seeds, speeds)
        tally.add(*design.judge(draw), truth, factors)
    return tally


def called_equivalent(
    spread: float, effect: float, looks: Sequence[int], studies: int, seed: int
) -> tuple[float, float, float, float]:
    """Return percentages of studies and of schedules that are called equivalent at any look.

    The first two are by the interval alone, the others by the verdict, which is corrected.
    ``spread`` is the standard deviation of a replicate's difference, ``effect`` its mean, of four schedules.
    """
    rng = np.random.default_rng([seed, round(1000 * spread), round(1000 * effect), *looks])
    names = ("reference", *map(str, range(1, 5)))
    hits = np.full(len(names), 1)
    called = np.zeros((2, studies, len(names) - 1), dtype=bool)
    for study in range(studies):
        logs = spread / math.sqrt(2) * rng.standard_normal((len(names), looks[-1]))
        logs[0] += effect
        whole = Replicates(names, tuple(range(1, looks[-1] + 1)), logs, logs - 1e-6)
        for size in looks:
            table = whole.until(size)
            found = [
                replicated_speedup(table, name, tuple(looks), 0.95, hit=True, margin=MARGIN)
                for name in names[1:]
            ]
            alone = [replace(one, equivalence_p=None) for one in found]
            for place, each in enumerate((alone, found)):
                told = _verdicts(each, hits, 1, PRIMARY_SHARE)
                called[place, study] |= [one == "equivalent" for one in told]
    alone_, paid = (100 * each for each in called)
    return (
        float(alone_.max(axis=1).mean()),
        float(alone_.mean()),
        float(paid.max(axis=1).mean()),
        float(paid.mean()),
    )
