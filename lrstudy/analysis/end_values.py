"""Values of the metric at the end of the training, compared at equal length in the metric's unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import stats

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import ALPHA, END, Comparison
from lrstudy.analysis.intervals import Interval, holm, mean_interval, t_two_sided
from lrstudy.analysis.judgement import REFERENCE, STOPPED
from lrstudy.analysis.resampling import TIE, sign_flip_p
from lrstudy.analysis.results import Ends, EndValue, RunEnd
from lrstudy.analysis.sequential_test import overall_p
from lrstudy.analysis.trial_table import Array, Trial
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric

SEED: Final = "seed"
REPLICATE: Final = "replicate"
# The outcomes of a run: trained for the whole length, or without a value there.
WHOLE: Final = "whole"
DIVERGED: Final = "diverged"
SHORT: Final = "short"
_NONE: Final = Interval(None, None, None)
# One array of runs' values for each unit, a seed or a replicate.
Units = Mapping[int, Array]


@dataclass(frozen=True, slots=True)
class EndDifference:
    """A schedule's values at the end against the reference's, paired by unit.

    ``difference`` is the mean of the schedule's values minus the reference's, over the units in which both
    have one; ``advantage`` is positive where the test speaks for the schedule; ``p_value`` is of a paired
    test, uncorrected, None with fewer than two pairs; ``error`` is the standard error of the difference.
    """

    difference: Interval
    advantage: float
    p_value: float | None
    pairs: int
    error: float | None = None

    def p_beyond(self, margin: float) -> float | None:
        """Return twice the larger p of two one-sided tests of a difference of at least ±``margin``.

        It is for units that all have a value. At most 0.05 where the 95% interval is inside the margin.
        """
        if self.error is None or self.difference.value is None:
            return None
        inside = margin - abs(self.difference.value)
        if inside <= 0:
            return 1.0
        return 0.0 if self.error == 0 else t_two_sided(inside / self.error, self.pairs - 1)


def end_difference(
    reference: Sequence[Array],
    schedule: Sequence[Array],
    metric: Metric,
    *,
    seed: int,
    confidence: float = 0.95,
) -> EndDifference:
    """Compare values at the end by a paired t-test over units: seeds, or replicates of the tuning.

    A run that diverged has no value, but it is no gap in the data: it is worse than every run that has one.
    Where there are such runs, the test is on the units' mean ranks among all runs of both (the diverged
    share the last rank), a t-test too; the difference and its interval are then over the runs that have a
    value. Where all differences are the same, the t-test has nothing to go by and sign flips replace it.

    Args:
        reference, schedule: for each unit, in the same order, the values of its runs, shape (runs,); one
            that is not finite is a run that diverged.
        seed: of the sign flips, above 12 pairs.

    Raises:
        ValueError: if the two have another number of units, or a unit has no run.
    """
    if len(reference) != len(schedule) or not all(len(unit) for unit in [*reference, *schedule]):
        raise ValueError("reference and schedule must have runs in the same units")
    ours, theirs = _means(schedule), _means(reference)
    both = np.isfinite(ours) & np.isfinite(theirs)
    widest = metric.high - metric.low
    known = (ours - theirs)[both]
    difference = mean_interval(known, confidence, (-widest, widest))
    error = float(known.std(ddof=1)) / math.sqrt(known.size) if known.size > 1 else None
    if all(np.isfinite(unit).all() for unit in [*reference, *schedule]):
        moves = ours - theirs if metric.higher_is_better else theirs - ours
    else:
        moves = _rank_differences(reference, schedule, metric)
    advantage = float(moves.mean()) if moves.size else 0.0
    return EndDifference(difference, advantage, _paired_p(moves, seed), len(moves), error)


def _means(units: Sequence[Array]) -> Array:
    """Return the mean finite value of each unit, NaN where it has none."""
    finite = [unit[np.isfinite(unit)] for unit in units]
    return np.array([values.mean() if values.size else math.nan for values in finite])


def _rank_differences(reference: Sequence[Array], schedule: Sequence[Array], metric: Metric) -> Array:
    """Return for each unit the mean rank of the schedule's runs minus that of the reference's."""
    units = [*reference, *schedule]
    values = np.concatenate(units)
    merit = values if metric.higher_is_better else -values
    ranks = stats.rankdata(np.where(np.isfinite(values), merit, -math.inf))
    ends = np.cumsum([len(unit) for unit in units])[:-1]
    means = np.array([part.mean() for part in np.split(ranks, ends)])
    differences: Array = means[len(reference) :] - means[: len(reference)]
    return differences


def _paired_p(differences: Array, seed: int) -> float | None:
    if differences.size < 2:
        return None
    spread = float(differences.std(ddof=1))
    if spread <= TIE * float(np.abs(differences).max()):
        return sign_flip_p(differences, seed)
    error = spread / math.sqrt(differences.size)
    return t_two_sided(float(differences.mean()) / error, differences.size - 1)


def decide_end(
    compared: EndDifference,
    p_adjusted: float | None,
    metric: Metric,
    margin: float | None,
    *,
    lost: bool,
    p_equivalent: float | None = None,
) -> str:
    """Return the verdict on a schedule's value at the end, by the first rule that applies.

    1. ``equivalent``: the whole interval is within ``margin``, the adjusted p of a difference beyond it is at
       most 0.05 where there is one, and no run diverged (``lost``).
    2. ``better`` / ``worse``: the adjusted p is at most 0.05, and the interval of the values does not speak
       for the opposite, as it can if the runs that diverged decided the test.
    3. ``inconclusive``.
    """
    low = -math.inf if compared.difference.low is None else compared.difference.low
    high = math.inf if compared.difference.high is None else compared.difference.high
    if not metric.higher_is_better:
        low, high = -high, -low
    surely = p_equivalent is None or p_equivalent <= ALPHA
    if margin is not None and not lost and surely and -margin <= low and high <= margin:
        return "equivalent"
    if p_adjusted is None or p_adjusted > ALPHA:
        return "inconclusive"
    if compared.advantage > 0 and high >= 0:
        return "better"
    if compared.advantage < 0 and low <= 0:
        return "worse"
    return "inconclusive"


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
    means = _means(list(found.units[name].values()))
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
