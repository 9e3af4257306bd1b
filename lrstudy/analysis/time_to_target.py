"""Time to each target of one schedule, alone and against the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lrstudy.analysis.aggregate import interquartile_mean, probability_of_improvement
from lrstudy.analysis.clusters import hit_rate, over_replicates, several, unit_means, unit_sums
from lrstudy.analysis.components import replicates_to_decide
from lrstudy.analysis.contest import Contest
from lrstudy.analysis.ert import ert
from lrstudy.analysis.families import ALPHA, shares
from lrstudy.analysis.hits import Hits, hits_of
from lrstudy.analysis.intervals import Interval, mean_interval
from lrstudy.analysis.judgement import Judgement, luck_of, paired_times, speedups_along
from lrstudy.analysis.pairing import pairs_of
from lrstudy.analysis.replicates import difference
from lrstudy.analysis.results import Reach, Steps, Times
from lrstudy.analysis.speedup import Speedup, ert_ratio, paired_variation
from lrstudy.analysis.survival import kaplan_meier, median_time, restricted_mean
from lrstudy.analysis.trial_table import Trial
from lrstudy.analysis.verdict import seeds_to_decide

NOBODY = Interval(None, None, None)


def reach_target(
    contest: Contest, target: float, compared: Mapping[str, Speedup], judgement: Judgement
) -> dict[str, Reach]:
    """Return every schedule's way to one target, with the verdict on it."""
    seconds = speedups_along(contest, target, "seconds")
    return {
        name: replace(
            _reach(contest, name, target, compared.get(name), judgement),
            speedup_seconds=_interval(seconds.get(name)),
        )
        for name in contest.runs
    }


def _reach(
    contest: Contest, name: str, target: float, speedup: Speedup | None, judgement: Judgement
) -> Reach:
    runs, base = contest.runs[name], contest.runs[contest.reference]
    key = (target, name)
    verdict, given_winners = judgement.verdicts[key], judgement.given_winners[key]
    found = contest.hits(runs, target)
    hits = int(found.hit.sum())
    times = _times(contest, runs, target)
    open_ = verdict == "inconclusive" and speedup is not None
    level = (
        ALPHA * shares([each for each, _ in judgement.adjusted], contest.primary)[target] if open_ else 0.0
    )
    note = "" if speedup is None else speedup.note
    return Reach(
        target=target,
        hits=hits,
        runs=len(runs),
        hit_rate=hit_rate(found.hit, _replicates(runs), contest.confidence) if runs else NOBODY,
        mean_time=times[contest.timing.clock].mean if runs else NOBODY,
        median_time=times[contest.timing.clock].median if runs else None,
        ert=times[contest.timing.clock].ert if runs else None,
        ert_seconds=times["seconds"].ert if "seconds" in times else None,
        speedup=_interval(speedup),
        verdict=verdict,
        speedup_seconds=NOBODY,
        p_value=judgement.adjusted.get(key),
        seeds_needed=_seeds_needed(contest, name, target, speedup, level) if open_ else None,
        note=_luck(contest, name) if verdict != given_winners else note,
        shares=_shares(contest, runs, target),
        times=times,
        iqm=_iqm(found),
        speedup_ert=_interval(_ert_ratio(contest, base, runs, target) if speedup is not None else None),
        sooner=_sooner(contest, base, runs, target) if speedup is not None else None,
        speedup_tuned=_interval(None if speedup is None else speedup.over_tunings),
        given_winners=given_winners,
        replicates=len({run.replicate for run in runs}),
        replicates_needed=_replicates_needed(contest, name, target, speedup, level) if open_ else None,
        primary=target == contest.primary,
    )


def _luck(contest: Contest, name: str) -> str:
    """Return the note on a difference that holds as tuned but may be luck of the tuning."""
    tuned = [each for each in (contest.reference, name) if contest.tuned(each)]
    whose = "another tuning" if len(tuned) == 2 else f"another tuning of {tuned[0]}"
    return (
        f"The two differ as tuned, but {whose} with the same budget could change the result. Run more tuning "
        "trials, or several seeds for each, to decide."
    )


def _seeds_needed(
    contest: Contest, name: str, target: float, speedup: Speedup | None, level: float
) -> int | None:
    """Return the seeds that would decide; None where replicates are the unit, or no seeds would."""
    if contest.replicated or speedup is None:
        return None
    luck = luck_of(contest, target) if speedup.tuning_variance else None
    return seeds_to_decide(
        *paired_times(contest, name, target),
        contest.margin,
        comparisons=len(contest.others),
        level=level,
        tuning_variance=speedup.tuning_variance,
        tuning_degrees=math.inf if luck is None else luck.degrees,
    )


def _replicates_needed(
    contest: Contest, name: str, target: float, speedup: Speedup | None, level: float
) -> int | None:
    """Return the replicates that would decide, from the variance of one; None if it is not known."""
    if speedup is None or speedup.ratio is None or speedup.low is None:
        return None
    effect = math.log(speedup.ratio)
    if contest.replicated:
        table = contest.replicates(target, contest.timing.clock, contest.timing.horizon)
        found = difference(table, name)
        error = None if found is None else found.error
        variance = None if error is None else error**2 * speedup.pairs
    else:
        variation = paired_variation(*paired_times(contest, name, target))
        variance = None if variation is None else variation**2 / speedup.pairs + speedup.tuning_variance
    if not variance:
        return None
    return replicates_to_decide(
        effect, variance, contest.margin, comparisons=len(contest.others), level=level
    )


def _times(contest: Contest, runs: Sequence[Trial], target: float) -> dict[str, Times]:
    """Return the time to the target along every recorded axis; empty without a run."""
    if not runs:
        return {}
    return {axis: _time(contest, runs, target, axis) for axis in contest.columns.times}


def _time(contest: Contest, runs: Sequence[Trial], target: float, axis: str) -> Times:
    horizon = contest.timing.horizon_in(contest.columns, runs, axis)
    spent = contest.hits(runs, target, axis)
    expected = ert(spent.spent, spent.hit)
    if horizon is None:
        return Times(NOBODY, None, expected)
    found = hits_of(contest.columns, runs, contest.metric, target, axis, horizon)
    mean = restricted_mean(found.time, found.hit, horizon, contest.confidence)
    if several(_replicates(runs)):
        units = unit_means(found.restricted, _replicates(runs))
        mean = mean_interval(units, contest.confidence, (0.0, horizon))
    return Times(mean, median_time(found.time, found.hit), expected)


def _iqm(found: Hits) -> float | None:
    """Return the interquartile mean of the hit times, None when a miss is in the middle half."""
    middle = interquartile_mean(np.where(found.hit, found.time, np.inf))
    return middle if middle is not None and math.isfinite(middle) else None


def _ert_ratio(contest: Contest, base: Sequence[Trial], runs: Sequence[Trial], target: float) -> Speedup:
    pairs = pairs_of(base, runs)
    sums = [
        unit_sums(values, _replicates(trials))
        for trials in pairs
        for found in [contest.hits(trials, target)]
        for values in (found.spent, found.hit)
    ]
    return ert_ratio(*sums, seed=contest.seed, confidence=contest.confidence)


def _replicates(runs: Sequence[Trial]) -> list[int]:
    return [run.replicate for run in runs]


def _sooner(contest: Contest, base: Sequence[Trial], runs: Sequence[Trial], target: float) -> float | None:
    """Return the probability that a run of the schedule reaches the target before one of the reference."""
    ours, theirs = (contest.hits(trials, target) for trials in (base, runs))
    times = (np.where(found.hit, found.time, np.inf) for found in (ours, theirs))
    return probability_of_improvement(*times)


def _shares(contest: Contest, runs: Sequence[Trial], target: float) -> dict[str, Steps]:
    """The share of runs that have hit, over each axis: one minus Kaplan-Meier."""
    shares = {}
    for axis, times in contest.columns.times.items():
        ends = [float(times[trial.end - 1]) for trial in runs if trial.end > trial.begin]
        if not ends or not all(np.isfinite(ends)):
            continue
        found = hits_of(contest.columns, runs, contest.metric, target, axis, max(ends))
        km = over_replicates(
            kaplan_meier(found.time, found.hit, contest.confidence),
            found.time,
            found.hit,
            _replicates(runs),
            contest.confidence,
        )
        shares[axis] = Steps(
            times=tuple(float(t) for t in km.times),
            share=tuple(float(1 - s) for s in km.survival),
            low=tuple(float(1 - s) for s in km.high),
            high=tuple(float(1 - s) for s in km.low),
        )
    return shares


def _interval(found: Speedup | None) -> Interval:
    if found is None:
        return NOBODY
    return Interval(found.ratio, found.low, found.high)
