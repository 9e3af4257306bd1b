"""Quantities over the training, averaged over confirm runs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from lrstudy.analysis.intervals import t_quantile
from lrstudy.analysis.summary import Curve, Values
from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.rules.metrics import METRICS


def curves_of(columns: Columns, trials: Sequence[Trial], metric: str, confidence: float) -> dict[str, Curve]:
    """The metric and every other column that was measured, as curves over the epochs."""
    if not any(trial.end > trial.begin for trial in trials):
        return {}
    times = {axis: _mean(_by_epoch(columns, trials, values)) for axis, values in columns.times.items()}
    shown = {**columns.shown, metric: columns.value}
    found = {
        name: _curve(_by_epoch(columns, trials, values), times, confidence, _support(name))
        for name, values in shown.items()
    }
    return {name: curve for name, curve in found.items() if any(v is not None for v in curve.value)}


def _support(name: str) -> tuple[float, float]:
    """The range of a column's values: a metric's own; rates, constants and norms are not negative."""
    metric = METRICS.get(name)
    return (0.0, math.inf) if metric is None else (metric.low, metric.high)


def _by_epoch(columns: Columns, trials: Sequence[Trial], values: Array) -> Array:
    """Shape (runs, epochs); NaN where a run has no such epoch or the value is not finite."""
    last = max(int(columns.evaluation[trial.end - 1]) for trial in trials if trial.end > trial.begin)
    table = np.full((len(trials), last), np.nan)
    for row, trial in enumerate(trials):
        block = slice(trial.begin, trial.end)
        table[row, columns.evaluation[block].astype(np.int64) - 1] = values[block]
    table[~np.isfinite(table)] = np.nan
    return table


def _curve(table: Array, times: dict[str, Array], confidence: float, support: tuple[float, float]) -> Curve:
    runs = np.isfinite(table).sum(axis=0)
    mean = _mean(table)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # fewer than two runs: no spread, which is said by NaN
        spread = np.nanstd(table, axis=0, ddof=1) / np.sqrt(runs)
    quantiles = {int(n): t_quantile((1 + confidence) / 2, int(n) - 1) if n > 1 else np.nan for n in set(runs)}
    half = spread * np.array([quantiles[int(n)] for n in runs])
    return Curve(
        times={axis: _values(values) for axis, values in times.items()},
        value=_values(mean),
        low=_values(np.maximum(mean - half, support[0])),
        high=_values(np.minimum(mean + half, support[1])),
        runs=tuple(int(n) for n in runs),
    )


def _mean(table: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no run at all in an epoch: the mean is NaN
        mean: Array = np.nanmean(table, axis=0)
    return mean


def _values(values: Array) -> Values:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
