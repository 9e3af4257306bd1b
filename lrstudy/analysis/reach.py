"""How one schedule reaches each target, alone and against the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrstudy.analysis.columns import Columns, Trial
from lrstudy.analysis.compared import pairs_of, seconds_horizon, speedup_of
from lrstudy.analysis.ert import ert
from lrstudy.analysis.hits import Hits, hits_of
from lrstudy.analysis.intervals import Interval, holm, wilson
from lrstudy.analysis.speedup import Speedup
from lrstudy.analysis.summary import Reach, Steps
from lrstudy.analysis.survival import kaplan_meier, median_time, restricted_mean
from lrstudy.analysis.verdict import decide, seeds_to_decide
from lrstudy.metrics import Metric

NOBODY = Interval(None, None, None)
REFERENCE = "reference"


@dataclass(frozen=True)
class Contest:
    """What all comparisons of a study share."""

    columns: Columns
    metric: Metric
    reference: str
    runs: dict[str, list[Trial]]
    epochs: int
    margin: float
    confidence: float
    seed: int


def reach_target(contest: Contest, target: float) -> dict[str, Reach]:
    """Every schedule's way to one target, the tests corrected over the schedules (Holm)."""
    base = contest.runs[contest.reference]
    others = [name for name in contest.runs if name != contest.reference]
    speedups = {name: _speedup(contest, base, contest.runs[name], target, "epochs") for name in others}
    adjusted = dict(zip(others, holm([speedups[name].p_value for name in others]), strict=True))
    return {
        name: _reach(contest, name, target, speedups.get(name), adjusted.get(name)) for name in contest.runs
    }


def _reach(
    contest: Contest, name: str, target: float, speedup: Speedup | None, p_value: float | None
) -> Reach:
    runs, base = contest.runs[name], contest.runs[contest.reference]
    found = hits_of(contest.columns, runs, contest.metric, target, "epochs", contest.epochs)
    hits = int(found.hit.sum())
    in_seconds = None
    if speedup is not None:
        in_seconds = _speedup(contest, base, runs, target, "seconds")
    verdict = _verdict(contest, target, hits, bool(runs), speedup, p_value)
    return Reach(
        target=target,
        hits=hits,
        runs=len(runs),
        hit_rate=wilson(hits, len(runs), contest.confidence) if runs else NOBODY,
        mean_epochs=_mean(found, contest) if runs else NOBODY,
        median_epochs=median_time(found.time, found.hit) if runs else None,
        ert_epochs=ert(found.spent, found.hit) if runs else None,
        ert_seconds=_ert_seconds(contest, runs, target),
        speedup=_interval(speedup),
        verdict=verdict,
        speedup_seconds=_interval(in_seconds),
        p_value=p_value,
        seeds_needed=_seeds_needed(contest, runs, target) if verdict == "inconclusive" else None,
        note=speedup.note if speedup is not None else "",
        shares=_shares(contest, runs, target),
    )


def _verdict(
    contest: Contest, target: float, hits: int, ran: bool, speedup: Speedup | None, p_value: float | None
) -> str:
    if speedup is None:
        return REFERENCE
    if not ran:
        return "inconclusive"
    base = contest.runs[contest.reference]
    reference = hits_of(contest.columns, base, contest.metric, target, "epochs", contest.epochs)
    return decide(speedup, p_value, hits=hits, reference_hits=int(reference.hit.sum()), margin=contest.margin)


def _speedup(
    contest: Contest, base: Sequence[Trial], runs: Sequence[Trial], target: float, axis: str
) -> Speedup:
    if axis == "seconds":
        horizon = seconds_horizon(contest.columns, [*base, *runs], contest.epochs)
        if horizon is None:
            return Speedup(None, None, None, None, 0, "training seconds were not recorded")
        resolution = horizon / contest.epochs
    else:
        horizon, resolution = float(contest.epochs), 1.0
    return speedup_of(
        contest.columns,
        base,
        runs,
        contest.metric,
        target,
        axis=axis,
        horizon=horizon,
        resolution=resolution,
        seed=contest.seed,
        confidence=contest.confidence,
    )


def _seeds_needed(contest: Contest, runs: Sequence[Trial], target: float) -> int | None:
    pairs = pairs_of(contest.runs[contest.reference], runs)
    base, other = (
        hits_of(contest.columns, trials, contest.metric, target, "epochs", contest.epochs).restricted
        for trials in pairs
    )
    return seeds_to_decide(base, other, contest.margin, comparisons=max(1, len(contest.runs) - 1))


def _mean(found: Hits, contest: Contest) -> Interval:
    return restricted_mean(found.time, found.hit, float(contest.epochs), contest.confidence)


def _ert_seconds(contest: Contest, runs: Sequence[Trial], target: float) -> float | None:
    if "seconds" not in contest.columns.times or not runs:
        return None
    found = hits_of(contest.columns, runs, contest.metric, target, "seconds", np.inf)
    return ert(found.spent, found.hit)


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
