"""The shortest training whose end reaches a target, from runs that were trained to several lengths.

Every length is a separate training: a schedule that lowers its rate at the end is laid out for each. The
mean value at the end is made monotone in the length and interpolated between the lengths on a log scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from lrstudy.analysis.intervals import Interval, t_two_sided
from lrstudy.analysis.resampling import RESAMPLES, bootstrap_weights, expanded_tail
from lrstudy.analysis.trial_table import Array
from lrstudy.rules.metrics import Metric


@dataclass(frozen=True, slots=True)
class LengthToTarget:
    """A schedule's shortest length whose end reaches the target in the mean.

    ``length`` has value and limits in the unit of the lengths; None where the longest does not reach it: a
    limit of None above a known value means that there is none. ``at_most``: already the shortest length
    reaches it, so that the value is an upper bound. ``means`` are the mean values at the end of each length
    and ``monotone`` what they become, both None for a length without a run.
    """

    length: Interval
    at_most: bool
    means: tuple[float | None, ...]
    monotone: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class LengthRatio:
    """The reference's length to the target over a schedule's: above 1, the schedule needs a shorter training.

    Where one of the two does not reach the target at the end of any length, the ratio has no value, but may
    have the limit on its known side. ``p_value`` is two-sided, of a ratio of 1, uncorrected: below 0.05 where
    the 95% interval excludes 1. ``shorter``: the test speaks for the schedule. ``units`` are the seeds or
    replicates that both have; ``note`` says what is not known of the ratio. ``error`` is the standard error
    of the logarithm of the ratio, None where it is not known.
    """

    ratio: Interval
    p_value: float | None
    units: int
    note: str = ""
    shorter: bool | None = None
    error: float | None = None


_NONE: Final = Interval(None, None, None)
# The mean value at the end by unit and length, shape (units, lengths), and 1 where there is one, else 0.
Table = tuple[Array, Array]
Ends = Mapping[int, Mapping[float, Sequence[float]]]
"""Values at the end by unit (seed or replicate) and length; one that is not finite is a run that diverged."""


def monotone(means: Array, weights: Array, *, increasing: bool = True) -> Array:
    """Return the weighted isotonic regression of each row of ``means``, shape (rows, lengths).

    Entry j is the largest over a <= j of the smallest over b >= j of the weighted mean of a..b. Entries
    without weight take no part and are NaN.
    """
    sign = 1.0 if increasing else -1.0
    known = weights > 0
    total = np.cumsum(np.insert(np.where(known, sign * means, 0.0) * weights, 0, 0.0, axis=1), axis=1)
    weight = np.cumsum(np.insert(weights, 0, 0.0, axis=1), axis=1)
    count = means.shape[1]
    fitted = np.full(means.shape, -math.inf)
    for a in range(count):
        smallest = np.full(len(means), math.inf)
        for b in range(count - 1, a - 1, -1):
            span = weight[:, b + 1] - weight[:, a]
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = (total[:, b + 1] - total[:, a]) / span
            smallest = np.fmin(smallest, np.where(span > 0, mean, math.inf))
            # The smallest mean of the blocks from a to b or beyond: it bounds entry b from below.
            fitted[:, b] = np.fmax(fitted[:, b], np.where(known[:, a], smallest, -math.inf))
    return np.where(known, sign * fitted, math.nan)


def lengths_to(target: float, lengths: Sequence[float], fitted: Array, metric: Metric) -> Array:
    """Return for each row of a monotone fit the length at which it reaches the target, shape (rows,).

    Interpolated linearly over the log of the length. The shortest known length where that reaches it already;
    infinite where none does.
    """
    sign = 1.0 if metric.higher_is_better else -1.0
    found = np.full(len(fitted), math.inf)
    before_log, before = np.full(len(fitted), math.nan), np.full(len(fitted), math.nan)
    for place, length in enumerate(lengths):
        value, log = sign * fitted[:, place], math.log(length)
        with np.errstate(all="ignore"):  # it is read only where this length is the first that reaches it
            share = (sign * target - before) / (value - before)
            between = np.exp(before_log + share * (log - before_log))
        hit = np.isinf(found) & (value >= sign * target)
        found[hit] = np.where(np.isnan(before[hit]), length, between[hit])
        known = np.isfinite(value)
        before[known], before_log[known] = value[known], log
    return found


def length_to_target(
    ends: Mapping[str, Ends],
    reference: str,
    target: float,
    metric: Metric,
    *,
    seed: int,
    confidence: float = 0.95,
) -> tuple[dict[str, LengthToTarget], dict[str, LengthRatio]]:
    """Compare schedules by the length of training that takes them to a target at its end.

    Limits come from a bootstrap over the units: a resample takes a unit with all lengths and, for ratios, of
    both schedules, and is read at expanded levels (``resampling.expanded_tail``). A run that diverged counts
    as the worst value of any run: no mean would survive the worst end of the metric's range.

    Args:
        ends: the values at the end of each schedule's runs; units of the same number are paired.
        reference: the schedule that the others are compared with.
    """
    lengths = tuple(sorted({length for units in ends.values() for unit in units.values() for length in unit}))
    question = _Question(lengths, target, metric, _worst(ends, metric), seed, confidence)
    found = {name: question.length(units) for name, units in ends.items()}
    others = [name for name in ends if name != reference]
    return found, {name: question.ratio((reference, name), ends[reference], ends[name]) for name in others}


def _worst(ends: Mapping[str, Ends], metric: Metric) -> float:
    values = [v for units in ends.values() for unit in units.values() for runs in unit.values() for v in runs]
    finite = [value for value in values if math.isfinite(value)]
    return (min if metric.higher_is_better else max)(finite, default=math.nan)


@dataclass(frozen=True)
class _Question:
    """A target and the lengths at which it is asked for; ``worst`` is the value of a run that diverged."""

    lengths: tuple[float, ...]
    target: float
    metric: Metric
    worst: float
    seed: int
    confidence: float

    def length(self, units: Ends) -> LengthToTarget:
        """Return one schedule's length to the target."""
        table = self._table(units.values())
        means, fitted, at = self._read(table, _all_once(len(units)))
        value = float(at[0])
        limits = Interval(_finite(value), None, None)
        if len(units) > 1 and math.isfinite(value):
            limits = self._limits(
                value, self._read(table, bootstrap_weights(len(units), self.seed))[2], len(units)
            )
        return LengthToTarget(limits, self._at_most(value, fitted[0]), _values(means[0]), _values(fitted[0]))

    def ratio(self, names: tuple[str, str], reference: Ends, schedule: Ends) -> LengthRatio:
        """Return the reference's length over a schedule's, over the units that both have."""
        shared = [unit for unit in reference if unit in schedule]
        if not shared:
            return LengthRatio(_NONE, None, 0, "The two have no seed or replicate in common.")
        tables = [self._table([units[unit] for unit in shared]) for units in (reference, schedule)]
        values, bounds = [], []
        for name, table in zip(names, tables, strict=True):
            _, fitted, at = self._read(table, _all_once(len(shared)))
            values.append(float(at[0]))
            bounds += [name] if self._at_most(float(at[0]), fitted[0]) else []
        missed = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
        if len(missed) == 2 or len(bounds) == 2:
            end = "the end of any length." if missed else "the end of the shortest length: no ratio is known."
            said = "Neither of the two reaches" if missed else "Both reach"
            return LengthRatio(_NONE, None, len(shared), f"{said} the target at {end}")
        note = f"{bounds[0]} reaches the target at the end of the shortest length already." if bounds else ""
        if missed:
            note = f"{missed[0]} does not reach the target at the end of any length."
        value = None if missed else values[0] / values[1]
        if len(shared) < 2:
            return LengthRatio(Interval(value, None, None), None, 1, note or "One unit gives no interval.")
        weights = bootstrap_weights(len(shared), self.seed)
        base, other = (self._read(table, weights)[2] for table in tables)
        with np.errstate(invalid="ignore"):
            ratios = base / other
        ratios = np.where(np.isnan(ratios), 1.0, ratios)  # neither reaches it in a resample: no difference
        error = None if missed else _error_of_log(ratios, len(shared))
        shorter = bool((ratios > 1).sum() > (ratios < 1).sum())
        if missed:  # the longest length is a bound of the other
            ratios = np.minimum(base, self.lengths[-1]) / np.minimum(other, self.lengths[-1])
        limits = self._limits(value, ratios, len(shared))
        if missed:
            limits = Interval(None, limits.low, None) if shorter else Interval(None, None, limits.high)
        p_value = _p_value(base, other, len(shared))
        return LengthRatio(limits, p_value, len(shared), note, shorter, error)

    def _table(self, units: Iterable[Mapping[float, Sequence[float]]]) -> Table:
        rows = []
        for unit in units:
            runs = [np.array(unit.get(length, ()), dtype=float) for length in self.lengths]
            rows.append(
                [
                    np.where(np.isfinite(each), each, self.worst).mean() if each.size else np.nan
                    for each in runs
                ]
            )
        means = np.array(rows, dtype=float).reshape(len(rows), len(self.lengths))
        return np.nan_to_num(means), np.isfinite(means).astype(float)

    def _read(self, table: Table, weights: Array) -> tuple[Array, Array, Array]:
        """Return the means at each length, their monotone fit and the lengths to the target, by resample."""
        means, known = table
        counts = weights @ known
        with np.errstate(invalid="ignore", divide="ignore"):
            averages = (weights @ means) / counts
        fitted = monotone(averages, counts, increasing=self.metric.higher_is_better)
        return averages, fitted, lengths_to(self.target, self.lengths, fitted, self.metric)

    def _at_most(self, value: float, fitted: Array) -> bool:
        """Return True if a length is the shortest with a run, so that a shorter one might do."""
        known = [length for length, mean in zip(self.lengths, fitted, strict=True) if math.isfinite(mean)]
        return bool(known) and math.isclose(value, known[0])

    def _limits(self, value: float | None, draws: Array, units: int) -> Interval:
        tail = expanded_tail(units, self.confidence)
        low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
        return Interval(value, _finite(low), _finite(high))


def _all_once(units: int) -> Array:
    """Return the weights of all units, as of one resample."""
    return np.full((1, units), 1 / max(1, units))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _values(row: Array) -> tuple[float | None, ...]:
    return tuple(_finite(value) for value in row)


def _error_of_log(ratios: Array, units: int) -> float | None:
    """Return half the distance of the quantiles a standard deviation from the median."""
    low, high = np.quantile(ratios, special.ndtr([-1.0, 1.0]), method="inverted_cdf")
    if not 0 < low < high < math.inf:
        return None
    return math.sqrt(units / (units - 1)) * math.log(high / low) / 2


def _p_value(reference: Array, schedule: Array, units: int) -> float:
    """Return the two-sided p that belongs to the expanded interval of a ratio: 0.05 where its limit is 1."""
    slower = np.sum(reference < schedule)
    ties = np.sum(reference == schedule)  # infinite ones among them
    below = (slower + ties / 2 + 0.5) / (RESAMPLES + 1)
    normal = float(special.ndtri(below))
    return t_two_sided(normal * math.sqrt((units - 1) / units), units - 1)
