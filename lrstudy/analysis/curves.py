"""Quantities over the training, averaged over confirm runs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from lrstudy.analysis.clusters import unit_means
from lrstudy.analysis.intervals import t_quantile
from lrstudy.analysis.summary import Curve, Values
from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.rules.diagnostics import COLUMNS
from lrstudy.rules.metrics import METRICS, Metric


def curves_of(
    columns: Columns,
    trials: Sequence[Trial],
    metric: Metric,
    confidence: float,
    *,
    clock: str = "epochs",
    declared: Mapping[str, Metric] | None = None,
    stopped: Collection[int] = (),
) -> dict[str, Curve]:
    """Return the metric and every other column that was measured, as curves over the evaluations.

    Runs that were evaluated at different times of the study's ``clock`` are interpolated linearly between
    their evaluations. ``declared`` are metrics that the study declares; of what it measures of the training
    itself (``rules.diagnostics``) the curve is the median with the range of the runs. The curves end where
    the first run was ``stopped`` at a target (these are the places of such trials): later ones would be of
    the slow alone.
    """
    if not any(trial.end > trial.begin for trial in trials):
        return {}
    grid = _grid(columns, trials, clock)

    ends = [trial.end - 1 for trial in trials if trial.place in stopped]

    def tabled(values: Array) -> Array:
        if grid is None:
            table = _by_evaluation(columns, trials, values)
            last = min((int(columns.evaluation[end]) for end in ends), default=table.shape[1])
        else:
            table = _on(grid, columns, trials, values, clock)
            first = min((columns.times[clock][end] for end in ends), default=np.inf)
            last = int(np.searchsorted(grid, first, side="right"))
        return table[:, :last]

    times = {axis: _mean(tabled(values)) for axis, values in columns.times.items()}
    shown = {**columns.shown, metric.name: columns.value}
    known = {**METRICS, **(declared or {}), metric.name: metric}
    replicates = [trial.replicate for trial in trials]
    found = {
        name: _median_curve(tabled(values), times)
        if name in COLUMNS
        else _curve(tabled(values), replicates, times, confidence, _support(known.get(name)))
        for name, values in shown.items()
    }
    return {name: curve for name, curve in found.items() if any(v is not None for v in curve.value)}


def _support(metric: Metric | None) -> tuple[float, float]:
    """Return the range of a column's values: a metric's own; rates, constants and norms are not negative."""
    return (0.0, math.inf) if metric is None else (metric.low, metric.high)


def _grid(columns: Columns, trials: Sequence[Trial], clock: str) -> Array | None:
    """Return the times of all runs' evaluations; None where equal numbers mean equal times."""
    times = columns.times.get(clock)
    if times is None:
        return None
    at: dict[float, float] = {}
    for trial in trials:
        block = slice(trial.begin, trial.end)
        for number, time in zip(columns.evaluation[block].tolist(), times[block].tolist(), strict=True):
            if not math.isclose(at.setdefault(number, time), time, rel_tol=1e-9):
                return np.unique(np.concatenate([times[one.begin : one.end] for one in trials]))
    return None


def _on(grid: Array, columns: Columns, trials: Sequence[Trial], values: Array, clock: str) -> Array:
    """Shape (runs, times): interpolated linearly between a run's evaluations, NaN outside of them."""
    rows = [
        np.interp(grid, columns.times[clock][block], values[block], left=np.nan, right=np.nan)
        if trial.end > trial.begin
        else np.full(grid.size, np.nan)
        for trial in trials
        for block in [slice(trial.begin, trial.end)]
    ]
    table = np.stack(rows)
    table[~np.isfinite(table)] = np.nan
    return table


def _by_evaluation(columns: Columns, trials: Sequence[Trial], values: Array) -> Array:
    """Shape (runs, evaluations); NaN where a run has no such evaluation or the value is not finite."""
    last = max(int(columns.evaluation[trial.end - 1]) for trial in trials if trial.end > trial.begin)
    table = np.full((len(trials), last), np.nan)
    for row, trial in enumerate(trials):
        block = slice(trial.begin, trial.end)
        table[row, columns.evaluation[block].astype(np.int64) - 1] = values[block]
    table[~np.isfinite(table)] = np.nan
    return table


def _curve(
    table: Array,
    replicates: Sequence[int],
    times: dict[str, Array],
    confidence: float,
    support: tuple[float, float],
) -> Curve:
    runs = np.isfinite(table).sum(axis=0)
    # The interval is over independent values: replicates, where there are several.
    table = unit_means(table, replicates)
    units = np.isfinite(table).sum(axis=0)
    mean = _mean(table)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # fewer than two values: no spread, which is said by NaN
        spread = np.nanstd(table, axis=0, ddof=1) / np.sqrt(units)
    quantiles = {
        int(n): t_quantile((1 + confidence) / 2, int(n) - 1) if n > 1 else np.nan for n in set(units)
    }
    half = spread * np.array([quantiles[int(n)] for n in units])
    return Curve(
        times={axis: _values(values) for axis, values in times.items()},
        value=_values(mean),
        low=_values(np.maximum(mean - half, support[0])),
        high=_values(np.minimum(mean + half, support[1])),
        runs=tuple(int(n) for n in runs),
    )


def _median_curve(table: Array, times: dict[str, Array]) -> Curve:
    """Return the median over runs with their range: a ratio may span many orders of magnitude."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no run at all at an evaluation
        value, low, high = (reduce(table, axis=0) for reduce in (np.nanmedian, np.nanmin, np.nanmax))
    at = {axis: _values(values) for axis, values in times.items()}
    runs = np.isfinite(table).sum(axis=0)
    return Curve(at, _values(value), _values(low), _values(high), tuple(int(n) for n in runs))


def _mean(table: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no run at all at an evaluation: the mean is NaN
        mean: Array = np.nanmean(table, axis=0)
    return mean


def _values(values: Array) -> Values:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
