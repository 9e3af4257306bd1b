"""The clock of a study's targets and verdicts, and how far and how finely runs are known in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.errors import InputError, Problem
from lrstudy.records import Phase, Status
from lrstudy.rules.clocks import CLOCKS, COST
from lrstudy.rules.prices import Prices

# A length in fractional epochs is a sum of rounded parts.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Timing:
    """The measure of times to target.

    ``horizon`` is the time up to which runs are compared: the length of a trial or, in a clock other than
    the study's, the time of the shortest run that trained to its end. ``resolution`` is the longest time
    between two evaluations of a run. ``whole`` are the places of the trials that trained to their end, and
    ``stopped`` those of runs that were stopped at a target, each with the part of its length that it trained:
    all is known of its times, and its whole length in another clock is estimated from that part.
    """

    clock: str
    horizon: float
    resolution: float
    whole: frozenset[int]
    stopped: Mapping[int, float] = field(default_factory=dict)

    def horizon_in(self, columns: Columns, runs: Sequence[Trial], axis: str) -> float | None:
        """Return the time up to which all whole runs are known along an axis; None without such a run."""
        if axis == self.clock:
            return self.horizon
        return None if axis not in columns.times else _shortest(columns, runs, axis, self.whole, self.stopped)

    def resolution_in(self, axis: str, horizon: float) -> float:
        """Return the time between two evaluations along an axis: the same part of its horizon."""
        return self.resolution if axis == self.clock else horizon / (self.horizon / self.resolution)


def timing_of(study: Any, columns: Columns, runs: Iterable[Trial], clock: str | None = None) -> Timing:
    """Return the timing of a study's runs in ``clock``, by default the one that the study names.

    Raises:
        InputError: for an unknown clock, one that some evaluation lacks, and for seconds of lanes.
    """
    clock = _named(clock or study.target_clock, study)
    _check(clock, study, columns)
    runs = list(runs)
    whole = _whole(study, columns)
    stopped = _stopped(study, columns, whole)
    if clock == study.clock:
        horizon = float(study.length)
    else:
        ends = [float(columns.times[clock][run.end - 1]) for run in runs if run.end > run.begin]
        shortest = _shortest(columns, runs, clock, whole, stopped)
        horizon = max(ends, default=1.0) if shortest is None else shortest
    gaps = [_longest_gap(columns, run, clock) for run in runs if run.end > run.begin]
    return Timing(clock, horizon, min(max(gaps, default=1.0), horizon), whole, stopped)


def _named(clock: str, study: Any) -> str:
    """Return the name of a clock among the columns' times: the currency for ``cost``."""
    if clock != COST:
        return clock
    prices = Prices.of(study.spec)
    if prices is None:
        remedy = "Name them: lrstudy resume RUN --set cost.currency=EUR --set cost.per_hour.cpu=0.04"
        raise InputError(
            Problem("study.json", "cost.per_hour", "is not given: no clock counts money", remedy)
        )
    return prices.currency


def _check(clock: str, study: Any, columns: Columns) -> None:
    prices = Prices.of(study.spec)
    money = "" if prices is None else prices.currency
    if clock not in CLOCKS and clock != money:
        remedy = f"Choose one of {', '.join((*CLOCKS, COST))}."
        raise InputError(Problem("study.json", "target.clock", "is not a clock", remedy, clock))
    if clock in columns.times:
        return
    others = sorted((one for one in columns.times if one != clock), key=lambda one: one != study.clock)
    remedy = f"Choose another clock for the report: lrstudy report RUN --clock {others[0]}" if others else ""
    if clock in ("seconds", money) and study.lanes:
        message = "cannot be compared: trials ran side by side (lanes) and shared the time of their process"
        remedy = f"Set resources.lanes = 0 and run the study in another folder. {remedy}".strip()
    elif clock == money:
        message = "does not count: a GPU of some run has no price above 0, or an evaluation no time"
        remedy = (
            f"Complete cost.per_hour: lrstudy resume RUN --set cost.per_hour.NAME=PRICE. {remedy}".strip()
        )
    else:
        message = "is not recorded by every evaluation, so times to target are not known in it"
        remedy = remedy or "Record it with each evaluation."
    raise InputError(Problem("study.json", "target.clock", message, remedy, clock))


def _whole(study: Any, columns: Columns) -> frozenset[int]:
    times = columns.times.get(study.clock)
    if times is None:
        return frozenset(t.place for t in columns.trials if t.status is Status.COMPLETED and t.end > t.begin)
    least = study.length * (1 - _ROUNDING)
    return frozenset(t.place for t in columns.trials if t.end > t.begin and times[t.end - 1] >= least)


def _stopped(study: Any, columns: Columns, whole: frozenset[int]) -> dict[int, float]:
    """Return the part of its length that each confirm run has trained which was stopped at a target."""
    times = columns.times.get(study.clock)
    if times is None or study.goal.stop_at(tuning=False) is None:
        return {}
    return {
        trial.place: float(times[trial.end - 1]) / study.length
        for trial in columns.trials
        if trial.phase is Phase.CONFIRM
        and trial.status is Status.COMPLETED
        and trial.end > trial.begin
        and trial.place not in whole
    }


def _shortest(
    columns: Columns, runs: Sequence[Trial], axis: str, whole: frozenset[int], stopped: Mapping[int, float]
) -> float | None:
    times = columns.times[axis]
    ends = [float(times[run.end - 1]) for run in runs if run.place in whole]
    ends += [float(times[run.end - 1]) / stopped[run.place] for run in runs if run.place in stopped]
    return min(ends) if ends else None


def _longest_gap(columns: Columns, run: Trial, clock: str) -> float:
    return float(np.diff(columns.times[clock][run.begin : run.end], prepend=0.0).max())
