"""Money and energy of a study: of each phase of its schedules, and of the whole run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.rules.prices import Prices
from lrstudy.rules.spending import spending_of
from lrstudy.store.open_attempts import OpenAttempts, read_open_attempts


@dataclass(frozen=True, slots=True)
class Money:
    """The cost of a whole run in ``currency``, of trials that no longer count and attempts included.

    ``attempts`` is the part of ``spent`` that went into trials without a row: stopped, lost or to be run
    again. ``unpriced`` are GPUs without a price, with their trials, and ``untimed`` the trials whose time is
    not known; neither is part of ``spent``.
    """

    currency: str
    per_hour: Mapping[str, float]
    limit: float | None
    spent: float
    attempts: float
    unpriced: Mapping[str, int]
    untimed: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {
            "currency": self.currency,
            "per_hour": dict(self.per_hour),
            "limit": self.limit,
            "spent": self.spent,
            "attempts_without_result": self.attempts,
            "unpriced": dict(self.unpriced),
            "untimed_trials": self.untimed,
        }


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of a whole run: of ``trials`` of its ``of`` trials that recorded it."""

    kwh: float
    estimated: bool
    trials: int
    of: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {"kwh": self.kwh, "estimated": self.estimated, "trials": self.trials, "of": self.of}


def money_of(store: Any, trials: Sequence[Trial]) -> Money | None:
    """Return the cost of a run with these trials; None if it names no prices."""
    prices = Prices.of(store.study.spec)
    if prices is None:
        return None
    location = getattr(store, "location", None)  # a store in memory has no attempts
    ended = {trial.trial_id for trial in trials}
    attempts: list[OpenAttempts] = [] if location is None else read_open_attempts(location, ended)
    of_trials = spending_of(prices, [(trial, trial.held_seconds) for trial in trials])
    of_attempts = spending_of(prices, [(one, one.seconds) for one in attempts])
    return Money(
        prices.currency,
        prices.per_hour,
        prices.limit,
        of_trials.spent + of_attempts.spent,
        of_attempts.spent,
        {**of_attempts.unpriced, **of_trials.unpriced},
        of_trials.untimed,
    )


def energy_of(trials: Sequence[Trial]) -> Energy | None:
    """Return the energy of trials; None where none recorded it."""
    known = [trial for trial in trials if trial.energy_kwh is not None]
    if not known:
        return None
    estimated = any(trial.energy_source != "measured" for trial in known)
    return Energy(math.fsum(t.energy_kwh or 0.0 for t in known), estimated, len(known), len(trials))


def cost_of(prices: Prices, trials: Sequence[Trial]) -> float | None:
    """Return the cost of some trials; None if that of one is unknown: a part is not the cost."""
    costs = [prices.cost(trial, trial.held_seconds) for trial in trials]
    return None if None in costs else math.fsum(cost for cost in costs if cost is not None)


def with_cost_clock(columns: Columns, prices: Prices | None) -> Columns:
    """Return the columns with one more clock, named by the currency: what a run has cost up to an evaluation.

    That is the time of training and evaluation so far at the price of what the trial held. There is no such
    clock where a run's seconds are not its own, a GPU has no price, or what trials hold costs nothing.
    """
    if prices is None or "seconds" not in columns.times or not columns.trials:
        return columns
    spent = columns.seconds["train_seconds"] + columns.seconds["eval_seconds"]
    times: Array = spent * math.nan
    for trial in columns.trials:
        hourly = prices.hourly(trial)
        if trial.end == trial.begin:
            continue
        if not hourly:
            return columns
        block = slice(trial.begin, trial.end)
        times[block] = spent[block].cumsum() * (hourly / 3600)
    if not (times == times).all():  # an evaluation whose time is not known
        return columns
    return columns.with_times(prices.currency, times)
