"""Comparisons of schedules with the reference at each target, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import Comparison, adjusted
from lrstudy.analysis.pairing import pairs_of, speedup_of
from lrstudy.analysis.replicates import replicated_speedup
from lrstudy.analysis.speedup import Speedup
from lrstudy.analysis.trial_table import Array, Trial
from lrstudy.analysis.tuning_luck import TuningLuck, pooled_luck, tuning_variances, with_tuning
from lrstudy.analysis.verdict import decide
from lrstudy.records import Phase

REFERENCE = "reference"
STOPPED = "stopped"


@dataclass(frozen=True)
class Judgement:
    """The verdicts on all schedules at all targets, and the adjusted p-values behind them.

    ``given_winners``: the verdicts on the configurations as tuned, without the luck of their tuning; with
    replicates, which hold it, the same.
    """

    adjusted: Mapping[Comparison, float | None]
    verdicts: Mapping[Comparison, str]
    given_winners: Mapping[Comparison, str]


def compare(contest: Contest, target: float) -> dict[str, Speedup]:
    """Compare every schedule but the reference with it at a target, in the verdicts' clock.

    The units are replicates where there are several, else seeds; the luck of the tuning is then estimated.
    """
    found = speedups_along(contest, target, contest.timing.clock)
    luck = None if contest.replicated else luck_of(contest, target)
    if luck is None:
        return found
    tuned = {name: int(contest.tuned(name)) for name in contest.runs}
    return {
        name: with_tuning(
            speedup,
            *paired_times(contest, name, target),
            luck,
            tuned[contest.reference] + tuned[name],
            contest.confidence,
        )
        for name, speedup in found.items()
    }


def speedups_along(contest: Contest, target: float, axis: str) -> dict[str, Speedup]:
    """Compare every schedule with the reference in its times to a target along an axis."""
    if contest.replicated:
        return _over_replicates(contest, target, axis)
    return {name: _over_seeds(contest, name, target, axis) for name in contest.others}


def _over_replicates(contest: Contest, target: float, axis: str) -> dict[str, Speedup]:
    every = [run for runs in contest.runs.values() for run in runs]
    horizon = contest.timing.horizon_in(contest.columns, every, axis)
    if horizon is None:
        return dict.fromkeys(contest.others, _unrecorded(axis))
    table = contest.replicates(target, axis, horizon)
    hit = {name: bool(contest.hits(runs, target).hit.any()) for name, runs in contest.runs.items()}
    return {
        name: replicated_speedup(
            table,
            name,
            contest.looks,
            contest.confidence,
            hit=hit[name] or hit[contest.reference],
            margin=contest.margin,
        )
        for name in contest.others
    }


def _over_seeds(contest: Contest, name: str, target: float, axis: str) -> Speedup:
    base, runs = contest.runs[contest.reference], contest.runs[name]
    horizon = contest.timing.horizon_in(contest.columns, [*base, *runs], axis)
    if horizon is None:
        return _unrecorded(axis)
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


def _unrecorded(axis: str) -> Speedup:
    return Speedup(None, None, None, None, 0, f"Not every run recorded its {axis}.")


def luck_of(contest: Contest, target: float) -> TuningLuck | None:
    """Return the luck of the study's tunings in the times to a target; None where nothing was tuned."""
    estimates = [
        tuning_variances(
            contest.columns,
            contest.columns.of(name, Phase.TUNE),
            runs,
            contest.metric,
            contest.objective,
            target,
            contest.timing,
            told=contest.tells(target, tuning=True),
        )
        for name, runs in contest.runs.items()
    ]
    return pooled_luck([each for each in estimates if each is not None])


def paired_times(contest: Contest, name: str, target: float) -> tuple[Array, Array]:
    """Return restricted times of the reference and of a schedule, over the seeds that both ran."""
    ours, theirs = pairs_of(contest.runs[contest.reference], contest.runs[name])
    return contest.hits(ours, target).restricted, contest.hits(theirs, target).restricted


def judge(
    contest: Contest,
    compared: Mapping[float, Mapping[str, Speedup]],
    further: Mapping[Comparison, float | None],
) -> Judgement:
    """Return the verdicts at all targets; ``further`` p-values share the study's error with them.

    A schedule that was stopped by hand has none: somebody may have stopped it because of its results, and no
    p-value allows for that. It still counts as a comparison, with the p-value 1, so that a stop makes no
    verdict on another schedule easier.
    """
    p_values, given = dict(further), dict(further)
    beyond: dict[Comparison, float | None] = dict.fromkeys(further)
    for target, each in compared.items():
        for name, speedup in each.items():
            beyond[target, name] = speedup.equivalence_p
            p_values[target, name], given[target, name] = speedup.over_tunings.p_value, speedup.p_value
    for comparison in p_values:
        if comparison[1] in contest.stopped:
            p_values[comparison] = given[comparison] = 1.0
    over_all, as_tuned = adjusted(p_values, contest.primary), adjusted(given, contest.primary)
    equal = adjusted(beyond, contest.primary)
    over_tunings = {t: {name: s.over_tunings for name, s in each.items()} for t, each in compared.items()}
    return Judgement(
        adjusted=over_all,
        verdicts=_verdicts(contest, over_tunings, over_all, equal),
        given_winners=_verdicts(contest, compared, as_tuned, equal),
    )


def _verdicts(
    contest: Contest,
    compared: Mapping[float, Mapping[str, Speedup]],
    p_values: Mapping[Comparison, float | None],
    equal: Mapping[Comparison, float | None],
) -> dict[Comparison, str]:
    found: dict[Comparison, str] = {}
    for target, each in compared.items():
        hits = {name: int(contest.hits(runs, target).hit.sum()) for name, runs in contest.runs.items()}
        for name, runs in contest.runs.items():
            if name == contest.reference:
                found[target, name] = REFERENCE
            elif name in contest.stopped:
                found[target, name] = STOPPED
            elif not runs:
                found[target, name] = "inconclusive"
            else:
                verdict = decide(
                    each[name],
                    p_values[target, name],
                    hits=hits[name],
                    reference_hits=hits[contest.reference],
                    runs=_compared_runs(contest, runs, each[name]),
                    margin=contest.margin,
                    p_equivalent=equal[target, name],
                )
                found[target, name] = _as_known(contest, name, target, verdict)
    return found


def _as_known(contest: Contest, name: str, target: float, verdict: str) -> str:
    """Return ``inconclusive`` for a verdict that needs the misses of runs that were cut short.

    Such a run counts as a miss, although it might have reached the target in time: that may only count
    against its own schedule's advantage, never for it.
    """
    ours, theirs = contest.untold(name, target), contest.untold(contest.reference, target)
    unknown = {
        "faster": theirs > 0,
        "slower": ours > 0,
        "equivalent": ours + theirs > 0,
        "never": ours == len(contest.runs[name]),
    }
    return "inconclusive" if unknown.get(verdict, False) else verdict


def _compared_runs(contest: Contest, runs: Sequence[Trial], speedup: Speedup) -> int:
    return max(len(runs), len(contest.runs[contest.reference])) if contest.replicated else speedup.pairs
