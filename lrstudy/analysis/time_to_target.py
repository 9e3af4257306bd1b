"""Time to each target of one schedule, alone and against the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrstudy.analysis.aggregate import interquartile_mean, probability_of_improvement
from lrstudy.analysis.ert import ert
from lrstudy.analysis.hits import Hits, hits_of
from lrstudy.analysis.intervals import Interval, holm, wilson
from lrstudy.analysis.pairing import pairs_of, speedup_of
from lrstudy.analysis.speedup import Speedup, ert_ratio
from lrstudy.analysis.summary import Reach, Steps, Times
from lrstudy.analysis.survival import kaplan_meier, median_time, restricted_mean
from lrstudy.analysis.timing import Timing
from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.analysis.tried_configurations import ranked
from lrstudy.analysis.tuning_luck import tuning_variance, with_tuning
from lrstudy.analysis.verdict import decide, seeds_to_decide
from lrstudy.records import Phase
from lrstudy.rules.metrics import Metric
from lrstudy.rules.objective import Objective

NOBODY = Interval(None, None, None)
REFERENCE = "reference"


@dataclass(frozen=True)
class Contest:
    """The runs, targets' metric and settings that all comparisons of a study share."""

    columns: Columns
    metric: Metric
    objective: Objective
    reference: str
    runs: dict[str, list[Trial]]
    timing: Timing
    margin: float
    confidence: float
    seed: int

    def tuned(self, name: str) -> bool:
        """Return True if a schedule's winner was chosen among several configurations."""
        return len(ranked(self.columns.of(name, Phase.TUNE), self.objective)) > 1


def reach_target(contest: Contest, target: float) -> dict[str, Reach]:
    """Every schedule's way to one target, the tests corrected over the schedules (Holm)."""
    speedups = speedups_at(contest, target)
    adjusted = _adjusted(speedups)
    verdicts = verdicts_at(contest, target, speedups)
    given = verdicts_at(contest, target, speedups, given_winners=True)
    return {
        name: _reach(
            contest, name, target, speedups.get(name), adjusted.get(name), verdicts[name], given[name]
        )
        for name in contest.runs
    }


def speedups_at(contest: Contest, target: float) -> dict[str, Speedup]:
    """Compare every schedule but the reference with it, in the verdicts' clock."""
    base = contest.runs[contest.reference]
    variance = {name: _tuning_variance(contest, name, target) for name in contest.runs}
    found = {}
    for name in contest.runs:
        if name == contest.reference:
            continue
        speedup = _speedup(contest, base, contest.runs[name], target, contest.timing.clock)
        paired = _paired_times(contest, contest.runs[name], target)
        luck = variance[contest.reference] + variance[name]
        found[name] = with_tuning(speedup, *paired, luck, contest.confidence)
    return found


def _tuning_variance(contest: Contest, name: str, target: float) -> float:
    tune = contest.columns.of(name, Phase.TUNE)
    return tuning_variance(
        contest.columns, tune, contest.runs[name], contest.metric, contest.objective, target, contest.timing
    )


def verdicts_at(
    contest: Contest, target: float, speedups: Mapping[str, Speedup], *, given_winners: bool = False
) -> dict[str, str]:
    """The verdict on each schedule of the contest, with Holm over those that ``speedups`` holds.

    ``given_winners``: on the tuned configurations as they are, without the luck of their tuning.
    """
    adjusted = _adjusted(speedups, given_winners=given_winners)
    hits = {name: _hits(contest, runs, target) for name, runs in contest.runs.items()}
    counts = {name: int(found.hit.sum()) for name, found in hits.items()}
    verdicts = {}
    for name, runs in contest.runs.items():
        if name == contest.reference:
            verdicts[name] = REFERENCE
        elif not runs:
            verdicts[name] = "inconclusive"
        else:
            verdicts[name] = decide(
                speedups[name],
                adjusted[name],
                hits=counts[name],
                reference_hits=counts[contest.reference],
                margin=contest.margin,
            )
    return verdicts


def _adjusted(speedups: Mapping[str, Speedup], *, given_winners: bool = False) -> dict[str, float | None]:
    p_values = holm([s.p_value if given_winners else _p_of_both(s) for s in speedups.values()])
    return dict(zip(speedups, p_values, strict=True))


def _p_of_both(speedup: Speedup) -> float | None:
    """The larger p of the tests given the winners and over tunings: a verdict needs both."""
    known = [p for p in (speedup.p_value, speedup.tuning_p) if p is not None]
    return max(known) if speedup.p_value is not None else None


def _reach(
    contest: Contest,
    name: str,
    target: float,
    speedup: Speedup | None,
    p_value: float | None,
    verdict: str,
    given_winners: str,
) -> Reach:
    runs, base = contest.runs[name], contest.runs[contest.reference]
    found = _hits(contest, runs, target)
    hits = int(found.hit.sum())
    times = _times(contest, runs, target)
    compared = speedup is not None
    luck = verdict != given_winners
    return Reach(
        target=target,
        hits=hits,
        runs=len(runs),
        hit_rate=wilson(hits, len(runs), contest.confidence) if runs else NOBODY,
        mean_time=times[contest.timing.clock].mean if runs else NOBODY,
        median_time=times[contest.timing.clock].median if runs else None,
        ert=times[contest.timing.clock].ert if runs else None,
        ert_seconds=times["seconds"].ert if "seconds" in times else None,
        speedup=_interval(speedup),
        verdict=verdict,
        speedup_seconds=_interval(_speedup(contest, base, runs, target, "seconds") if compared else None),
        p_value=p_value,
        seeds_needed=(
            _seeds_needed(contest, runs, target, speedup.tuning_variance)
            if verdict == "inconclusive" and speedup is not None
            else None
        ),
        note=_luck(contest, name) if luck else speedup.note if speedup is not None else "",
        shares=_shares(contest, runs, target),
        times=times,
        iqm=_iqm(found),
        speedup_ert=_interval(_ert_ratio(contest, base, runs, target) if compared else None),
        sooner=_sooner(contest, base, runs, target) if compared else None,
        speedup_tuned=_over_tunings(speedup),
        given_winners=given_winners,
    )


def _luck(contest: Contest, name: str) -> str:
    """Return the note on a difference that holds as tuned but may be luck of the tuning."""
    tuned = [each for each in (contest.reference, name) if contest.tuned(each)]
    whose = "another tuning" if len(tuned) == 2 else f"another tuning of {tuned[0]}"
    return (
        f"The two differ as tuned, but {whose} with the same budget could change the result. Run more tuning "
        "trials, or several seeds for each, to decide."
    )


def _hits(contest: Contest, runs: Sequence[Trial], target: float, axis: str | None = None) -> Hits:
    """Return the hits of runs: in the verdicts' clock up to the horizon, along other axes without a limit."""
    timing = contest.timing
    axis = axis or timing.clock
    horizon = timing.horizon if axis == timing.clock else math.inf
    return hits_of(contest.columns, runs, contest.metric, target, axis, horizon)


def _speedup(
    contest: Contest, base: Sequence[Trial], runs: Sequence[Trial], target: float, axis: str
) -> Speedup:
    horizon = contest.timing.horizon_in(contest.columns, [*base, *runs], axis)
    if horizon is None:
        return Speedup(None, None, None, None, 0, f"Not every run recorded its {axis}.")
    return speedup_of(
        contest.columns,
        base,
        runs,
        contest.metric,
        target,
        axis=axis,
        horizon=horizon,
        resolution=contest.timing.resolution_in(axis, horizon),
        seed=contest.seed,
        confidence=contest.confidence,
    )


def _paired_times(contest: Contest, runs: Sequence[Trial], target: float) -> tuple[Array, Array]:
    """Return restricted times of the reference and of a schedule, over the seeds that both ran."""
    ours, theirs = pairs_of(contest.runs[contest.reference], runs)
    return _hits(contest, ours, target).restricted, _hits(contest, theirs, target).restricted


def _seeds_needed(contest: Contest, runs: Sequence[Trial], target: float, luck: float) -> int | None:
    base, other = _paired_times(contest, runs, target)
    return seeds_to_decide(
        base, other, contest.margin, comparisons=max(1, len(contest.runs) - 1), tuning_variance=luck
    )


def _times(contest: Contest, runs: Sequence[Trial], target: float) -> dict[str, Times]:
    """Return the time to the target along every recorded axis; empty without a run."""
    if not runs:
        return {}
    return {axis: _time(contest, runs, target, axis) for axis in contest.columns.times}


def _time(contest: Contest, runs: Sequence[Trial], target: float, axis: str) -> Times:
    horizon = contest.timing.horizon_in(contest.columns, runs, axis)
    spent = _hits(contest, runs, target, axis)
    expected = ert(spent.spent, spent.hit)
    if horizon is None:
        return Times(NOBODY, None, expected)
    found = hits_of(contest.columns, runs, contest.metric, target, axis, horizon)
    mean = restricted_mean(found.time, found.hit, horizon, contest.confidence)
    return Times(mean, median_time(found.time, found.hit), expected)


def _iqm(found: Hits) -> float | None:
    """Return the interquartile mean of the hit times, None when a miss is in the middle half."""
    middle = interquartile_mean(np.where(found.hit, found.time, np.inf))
    return middle if middle is not None and math.isfinite(middle) else None


def _ert_ratio(contest: Contest, base: Sequence[Trial], runs: Sequence[Trial], target: float) -> Speedup:
    ours, theirs = (_hits(contest, trials, target) for trials in pairs_of(base, runs))
    return ert_ratio(
        ours.spent, ours.hit, theirs.spent, theirs.hit, seed=contest.seed, confidence=contest.confidence
    )


def _sooner(contest: Contest, base: Sequence[Trial], runs: Sequence[Trial], target: float) -> float | None:
    """Return the probability that a run of the schedule reaches the target before one of the reference."""
    ours, theirs = (_hits(contest, trials, target) for trials in (base, runs))
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
        km = kaplan_meier(found.time, found.hit, contest.confidence)
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


def _over_tunings(found: Speedup | None) -> Interval:
    """Return the speedup with its interval over tunings; that given the winners without a search."""
    if found is None or found.tuned_low is None:
        return _interval(found)
    return Interval(found.ratio, found.tuned_low, found.tuned_high)
