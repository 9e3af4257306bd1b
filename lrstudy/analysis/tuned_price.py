"""The cost of reaching a target, tuning included, and from when on tuning pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.summary import Reach, ScheduleSummary, TuningCurve
from lrstudy.analysis.trial_table import Trial
from lrstudy.analysis.tried_configurations import Tried, by_replicate, configurations
from lrstudy.analysis.tuning_cost import TunedTime, best_of_n, break_even, time_with_tuning
from lrstudy.rules.objective import Objective


def best_value(tune: Sequence[Trial], objective: Objective, confidence: float) -> TuningCurve | None:
    """Return the expected best objective of a tuning after 1, 2, … configurations; None where there is none.

    All tunings of a schedule tell of the same distribution, so that the curve is as long as the longest.
    """
    values = [one.objective for one in configurations(tune)]
    if not values:
        return None
    most = max(len(configurations(trials)) for trials in by_replicate(tune).values())
    metric = objective.metric
    bounded = objective.arrival is None and math.isfinite(metric.low) and math.isfinite(metric.high)
    support = (metric.low, metric.high) if bounded else (None, None)
    found = best_of_n(values, objective.higher_is_better, confidence, support=support)
    if not found.n:
        return None
    return TuningCurve(found.n[:most], found.expected[:most], found.low[:most], found.high[:most])


def _tuned_time(contest: Contest, tune: Sequence[Trial], reach: Reach) -> TunedTime | None:
    tried = configurations([trial for trial in tune if trial.end > trial.begin])
    if not tried:
        return None
    expected = math.inf if reach.ert is None else reach.ert
    return time_with_tuning(
        [_configuration_ert(contest, one, reach.target) for one in tried],
        [float(sum(_spent(contest, trial) for trial in one.trials)) for one in tried],
        expected if reach.runs else None,
        objectives=[one.objective for one in tried],
        higher_is_better=contest.objective.higher_is_better,
        runs_per_trial=[len(one.trials) for one in tried],
    )


def _configuration_ert(contest: Contest, tried: Tried, target: float) -> float | None:
    """Return the expected time to a target over a configuration's tuning trials; None without a hit."""
    timing = contest.timing
    found = hits_of(contest.columns, tried.trials, contest.metric, target, timing.clock, timing.horizon)
    spent = [
        time if hit else _spent(contest, trial)
        for trial, time, hit in zip(tried.trials, found.time, found.hit, strict=True)
    ]
    hits = int(found.hit.sum())
    return math.fsum(spent) / hits if hits else None


def _spent(contest: Contest, trial: Trial) -> float:
    """Return the cost of a whole trial in the verdicts' clock."""
    clock = contest.timing.clock
    if (known := trial.ran(clock)) or trial.end == trial.begin:
        return float(known)
    return float(contest.columns.times[clock][trial.end - 1])


def price_of_target(
    contest: Contest, tests: Sequence[Trial], tune: Sequence[Trial], reach: Reach, *, searched: bool
) -> TuningCurve | None:
    """Return the expected time to a target after 1, 2, … trials of one tuning; None without a trial.

    It is the mean over the tunings of a schedule.
    """
    each = [
        found
        for trials in by_replicate(tune).values()
        if (found := _tuned_time(contest, trials, reach)) is not None
    ]
    if not each:
        return None
    number = min((found.n for found in each), key=len)
    # A schedule with nothing to search pays no tuning: its one trial is a run like any other.
    if not searched:
        return TuningCurve(number, _means([found.time for found in each]))
    # A range test is paid before the first trial.
    first = sum(_spent(contest, trial) for trial in tests) / len(each)
    totals = _means([found.total for found in each])
    return TuningCurve(number, tuple(None if total is None else total + first for total in totals))


def _means(curves: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    """Return the means over the tunings of a schedule, as far as the shortest; None where one has none."""
    return tuple(
        None if None in values else math.fsum(value for value in values if value is not None) / len(values)
        for values in zip(*curves, strict=False)
    )


def with_break_even(
    schedules: Sequence[ScheduleSummary], untuned: AbstractSet[str], priced: int | None
) -> tuple[ScheduleSummary, ...]:
    """Fill in from how many tuning trials on a schedule's price beats that of the best of the ``untuned``.

    ``priced`` is the place of the target that the prices are of.
    """
    if priced is None:
        return tuple(schedules)
    times = [time for s in schedules if s.name in untuned and (time := s.reach[priced].ert) is not None]
    if not times:
        return tuple(schedules)
    return tuple(
        replace(s, break_even=break_even(min(times), s.price_of_target.value))
        if s.name not in untuned and s.price_of_target is not None
        else s
        for s in schedules
    )


def priced_target(contest: Contest, levels: Sequence[float]) -> int | None:
    """Return the place of the hardest level that tuning runs were not stopped before, None without one."""
    told = [place for place, level in enumerate(levels) if contest.tells(level, tuning=True)]
    best = max if contest.metric.higher_is_better else min
    return best(told, key=lambda place: levels[place], default=None)
