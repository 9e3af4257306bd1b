"""Values of the metric at the end of the training, compared at equal length in the metric's unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.end_differences import EndDifference, decide_end, end_difference, unit_means
from lrstudy.analysis.families import END, Comparison
from lrstudy.analysis.intervals import Interval, holm, mean_interval
from lrstudy.analysis.judgement import REFERENCE, STOPPED
from lrstudy.analysis.results import Ends, EndValue, RunEnd
from lrstudy.analysis.sequential_test import overall_p
from lrstudy.analysis.trial_table import Array, Trial
from lrstudy.records import Status

SEED: Final = "seed"
REPLICATE: Final = "replicate"
# The outcomes of a run: trained for the whole length, or without a value there.
WHOLE: Final = "whole"
DIVERGED: Final = "diverged"
SHORT: Final = "short"
_NONE: Final = Interval(None, None, None)
# One array of runs' values for each unit, a seed or a replicate.
Units = Mapping[int, Array]


@dataclass(frozen=True)
class EndComparisons:
    """All schedules' values at the end by unit, and the comparison of each whose end is known.

    ``unit`` is ``seed`` or ``replicate``; ``short`` are the numbers of runs without a known end.
    """

    unit: str
    units: Mapping[str, Units]
    short: Mapping[str, int]
    differences: Mapping[str, EndDifference]


def compare_ends(contest: Contest) -> EndComparisons:
    """Compare every schedule with the reference, over replicates if there are several, else over seeds."""
    runs, reference = contest.runs, contest.reference
    unit = REPLICATE if len({run.replicate for run in runs[reference]}) > 1 else SEED
    units = {name: _units(contest, trials, unit) for name, trials in runs.items()}
    short = {name: _short(contest, trials) for name, trials in runs.items()}
    differences = {
        name: _against(contest, units[reference], units[name])
        for name in runs
        if name != reference and not short[name] and not short[reference]
    }
    return EndComparisons(unit, units, short, differences)


def end_questions(contest: Contest, found: EndComparisons) -> dict[Comparison, float | None]:
    """Return the p-values of the comparisons, with those of earlier looks at the study counted in."""
    p_values = _over_looks(contest, found, lambda difference: difference.p_value)
    return {(END, name): p_value for name, p_value in p_values.items()}


def _over_looks(
    contest: Contest, found: EndComparisons, p_of: Callable[[EndDifference], float | None]
) -> dict[str, float | None]:
    if not contest.replicated or len(contest.looks) < 2:
        return {name: p_of(one) for name, one in found.differences.items()}
    seen = [compare_ends(contest.until(look)).differences for look in contest.looks]
    reached = {name: seen[: len(contest.looks_of(name))] for name in found.differences}
    return {
        name: overall_p([p_of(each[name]) if name in each else None for each in looks], contest.looks)
        for name, looks in reached.items()
    }


def ends_of(
    contest: Contest, study: Any, found: EndComparisons, adjusted: Mapping[str, float | None]
) -> Ends | None:
    """Return every schedule's value at the end with its verdict; None without a confirm run.

    ``adjusted`` are the p-values after their correction.
    """
    if not any(contest.runs.values()):
        return None
    margin = study.spec["target"].get("end_margin")
    beyond = {} if margin is None else _over_looks(contest, found, lambda one: one.p_beyond(margin))
    equal = dict(zip(beyond, holm(list(beyond.values())), strict=True))
    values = tuple(
        _end_value(contest, found, name, (adjusted.get(name), equal.get(name)), margin)
        for name in contest.runs
    )
    runs = tuple(_run_end(contest, name, trial) for name, trials in contest.runs.items() for trial in trials)
    return Ends(study.clock, study.length, margin, found.unit, values, runs)


def _units(contest: Contest, trials: Iterable[Trial], unit: str) -> Units:
    """Return the last values of runs by seed or by replicate, NaN for those that diverged."""
    values: dict[int, list[float]] = {}
    for trial in trials:
        last = math.nan if trial.status is Status.DIVERGED else _last_value(contest, trial)
        values.setdefault(trial.replicate if unit == REPLICATE else trial.seed, []).append(last)
    return {key: np.array(each) for key, each in values.items()}


def _last_value(contest: Contest, trial: Trial) -> float:
    """Return a run's value at its last evaluation, of a recorded run at the last within the common length."""
    end = trial.end
    if contest.common is not None and contest.common[0] in contest.columns.times:
        clock, length = contest.common
        times = contest.columns.times[clock][trial.begin : trial.end]
        end = trial.begin + int(np.searchsorted(times, length * (1 + 1e-9), side="right"))
    return math.nan if end == trial.begin else float(contest.columns.value[end - 1])


def _short(contest: Contest, trials: Iterable[Trial]) -> int:
    """Return the number of runs without a known end: not diverged, and no value after the whole length."""
    return sum(_outcome(contest, trial) == SHORT for trial in trials)


def _outcome(contest: Contest, trial: Trial) -> str:
    if trial.status is Status.DIVERGED:
        return DIVERGED
    known = trial.place in contest.timing.whole and not math.isnan(_last_value(contest, trial))
    return WHOLE if known else SHORT


def _run_end(contest: Contest, name: str, trial: Trial) -> RunEnd:
    outcome = _outcome(contest, trial)
    value = _last_value(contest, trial) if outcome == WHOLE else None
    return RunEnd(name, trial.replicate, trial.seed, outcome, value)


def _against(contest: Contest, reference: Units, schedule: Units) -> EndDifference:
    shared = [unit for unit in reference if unit in schedule]
    return end_difference(
        [reference[unit] for unit in shared],
        [schedule[unit] for unit in shared],
        contest.metric,
        seed=contest.seed,
        confidence=contest.confidence,
    )


def _end_value(
    contest: Contest,
    found: EndComparisons,
    name: str,
    p_values: tuple[float | None, float | None],
    margin: float | None,
) -> EndValue:
    p_adjusted, p_equivalent = p_values
    metric, compared = contest.metric, found.differences.get(name)
    lost = _lost(found.units[name])
    means = unit_means(list(found.units[name].values()))
    known = means[np.isfinite(means)] if not found.short[name] else means[:0]
    if name == contest.reference:
        verdict = REFERENCE
    elif name in contest.stopped:
        verdict = STOPPED
    elif compared is None:
        verdict = "unknown"
    else:
        some = lost + _lost(found.units[contest.reference]) > 0
        verdict = decide_end(compared, p_adjusted, metric, margin, lost=some, p_equivalent=p_equivalent)
    return EndValue(
        value=mean_interval(known, contest.confidence, (metric.low, metric.high)),
        difference=_NONE if compared is None else compared.difference,
        p_value=p_adjusted,
        verdict=verdict,
        runs=sum(map(len, found.units[name].values())),
        diverged=lost,
        short=found.short[name],
        pairs=0 if compared is None else compared.pairs,
    )


def _lost(units: Units) -> int:
    return sum(int((~np.isfinite(unit)).sum()) for unit in units.values())
