"""The cost of each schedule, and warnings where schedules got different budgets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lrstudy.analysis.money import cost_of, energy_of
from lrstudy.analysis.summary import Price, Spent
from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.records import Phase
from lrstudy.rules.prices import Prices


def price_of(columns: Columns, schedule: str, prices: Prices | None = None) -> Price:
    """Return the cost of a schedule over all of its trials, failed ones included."""
    trials = [trial for trial in columns.trials if trial.schedule == schedule]
    by_phase = {phase: [trial for trial in trials if trial.phase is phase] for phase in Phase}
    return Price(
        tune=_spent(columns, [*by_phase[Phase.TUNE], *by_phase[Phase.SELECT]], prices),
        confirm=_spent(columns, by_phase[Phase.CONFIRM], prices),
        range_test=_spent(columns, by_phase[Phase.RANGE_TEST], prices),
    )


def _spent(columns: Columns, trials: Sequence[Trial], prices: Prices | None) -> Spent:
    if not trials:
        return Spent()
    return Spent(
        trials=len(trials),
        epochs=_total_epochs(trials),
        steps=_count(columns, trials, "steps"),
        samples=_count(columns, trials, "samples"),
        tokens=_count(columns, trials, "tokens"),
        seconds=_sum(columns.seconds["train_seconds"], trials),
        estimate_seconds=_sum(columns.seconds["estimate_seconds"], trials),
        eval_seconds=_sum(columns.seconds["eval_seconds"], trials),
        device_seconds=_clock(trials),
        money=None if prices is None else cost_of(prices, trials),
        energy_kwh=None if (energy := energy_of(trials)) is None else energy.kwh,
    )


def budget_warnings(
    prices: Mapping[str, Price],
    planned: Mapping[str, int],
    replaced: Mapping[str, int] | None = None,
    tunings: Mapping[str, int] | None = None,
) -> list[str]:
    """Return sentences on schedules whose tunings got another budget than those of the others.

    ``planned`` and ``replaced`` are tuning trials: those of the plan, a range test's place included, and
    those whose place a range test has taken. ``tunings`` are the replicates of each schedule, by default one.
    """
    replaced, tunings = replaced or {}, tunings or {}

    def each(name: str, trials: int) -> float:
        share = trials / tunings.get(name, 1)
        return int(share) if share.is_integer() else round(share, 2)

    searched = {
        name: each(name, price.tune.trials) + replaced.get(name, 0)
        for name, price in prices.items()
        if planned[name] > 1
    }
    warnings = []
    if len(set(searched.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in searched.items())
        warnings.append(f"The schedules have different tuning budgets: {counts} trials.")
    confirms = {name: each(name, price.confirm.trials) for name, price in prices.items()}
    if len(set(confirms.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in confirms.items())
        warnings.append(f"The schedules have different numbers of confirm runs: {counts}.")
    return warnings


def _total_epochs(trials: Sequence[Trial]) -> float | None:
    known = [trial.epochs_run for trial in trials if trial.epochs_run is not None]
    return sum(known) if len(known) == len(trials) else None


def _count(columns: Columns, trials: Sequence[Trial], axis: str) -> int | None:
    if axis not in columns.times:
        return None
    return int(sum(columns.times[axis][trial.end - 1] for trial in trials if trial.end > trial.begin))


def _sum(values: Array, trials: Sequence[Trial]) -> float | None:
    """Return the sum over the trials' evaluations; None where one lacks it: a part is not the price."""
    if not np.isfinite(values).any():
        return None
    total = float(sum(values[trial.begin : trial.end].sum() for trial in trials))
    return total if math.isfinite(total) else None


def _clock(trials: Sequence[Trial]) -> float | None:
    known = [trial.device_seconds for trial in trials if trial.device_seconds is not None]
    return float(sum(known)) if known and len(known) == len(trials) else None
