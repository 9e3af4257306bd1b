"""Stability of the verdict when a seed, replicate or schedule is left out, or the target moves a little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import Comparison
from lrstudy.analysis.judgement import compare, judge
from lrstudy.analysis.pairing import pairs_of, restricted_over
from lrstudy.analysis.speedup import Speedup
from lrstudy.analysis.trial_table import Trial

SHIFT = 0.01
# Of more seeds than this, only the most influential are left out in turn.
MOST_SEEDS = 30
# Up to this number the seeds that change a verdict are named.
FEW = 3
_SEED, _REPLICATE = "one seed left out", "one replicate left out"
_SCHEDULE = "one schedule left out"
_TARGET = f"the target moved by {SHIFT:.0%}"
_CHANGES = {
    _SEED: "seed {} left out",
    _REPLICATE: "replicate {} left out",
    _SCHEDULE: "{} left out",
    _TARGET: "the target at {}",
}

Compared = Mapping[float, Mapping[str, Speedup]]
# A target of the study, the kind of change, the change itself, and the verdicts at the target then.
Variant = tuple[float, str, str, Mapping[str, str]]


def stability(
    contest: Contest, compared: Compared, further: Mapping[Comparison, float | None]
) -> tuple[str, ...]:
    """Return one sentence per target: the verdicts that change, and under which change.

    ``compared`` are the comparisons at each target; ``further`` are p-values that share the study's error
    with them and stay as they are.
    """
    if len(contest.runs) < 2 or any(len(runs) < 3 for runs in contest.runs.values()):
        return ()
    verdicts = judge(contest, compared, further).verdicts
    variants: dict[float, list[Variant]] = {target: [] for target in compared}
    for variant in _variants(contest, compared, further):
        variants[variant[0]].append(variant)
    return tuple(
        _sentence(contest, target, {name: verdicts[target, name] for name in contest.runs}, variants[target])
        for target in compared
    )


def _sentence(
    contest: Contest, target: float, verdicts: Mapping[str, str], variants: Sequence[Variant]
) -> str:
    changed: dict[str, dict[tuple[str, str], list[str]]] = {}
    tried: dict[str, int] = {}
    for _, kind, what, variant in variants:
        tried[kind] = tried.get(kind, 0) + 1
        for name, verdict in variant.items():
            if verdict != verdicts[name]:
                changed.setdefault(name, {}).setdefault((verdict, kind), []).append(what)
    count = sum(tried.values())
    if not changed:
        some = _SEED in tried and tried[_SEED] < len(contest.runs[contest.reference])
        most = f"one of the {tried.get(_SEED)} most influential seeds left out"
        kinds = ", ".join(most if some and kind == _SEED else kind for kind in tried)
        return f"Target {target:g}: all verdicts hold in each of {count} variants ({kinds})."
    parts = []
    for name, how in changed.items():
        ways = [f"{verdict} {_which(kind, what, tried[kind])}" for (verdict, kind), what in how.items()]
        parts.append(f"{name} ({verdicts[name]}) becomes {'; '.join(ways)}")
    return f"Target {target:g}: {'. '.join(parts)}. The other verdicts hold in all {count} variants."


def _which(kind: str, what: Sequence[str], tried: int) -> str:
    """Name the changes of one kind that change a verdict if they are few, else count them."""
    if kind in (_SEED, _REPLICATE) and len(what) > FEW:
        units = "seeds" if kind == _SEED else "replicates"
        return f"with any one of {len(what)} of the {tried} {units} left out"
    listed = what[0] if len(what) == 1 else f"{', '.join(what[:-1])} or {what[-1]}"
    return f"with {_CHANGES[kind].format(listed)}"


def _variants(
    contest: Contest, compared: Compared, further: Mapping[Comparison, float | None]
) -> Iterator[Variant]:
    """Yield every change with its verdicts, target by target."""
    kind = _REPLICATE if contest.replicated else _SEED
    seen: dict[int, tuple[Contest, Compared]] = {}
    for target in compared:
        for place, unit in _replicates(contest) if contest.replicated else _seeds(contest, target):
            if unit not in seen:
                fewer = _without_unit(contest, unit)
                # The error is shared with the other targets, whose comparisons are of the same runs.
                seen[unit] = fewer, {each: compare(fewer, each) for each in compared}
            less, comparisons = seen[unit]
            yield _variant(less, comparisons, further, target, target, kind, str(place))
    for left_out in contest.others if len(contest.runs) > 2 else ():
        # The speedups of the others stay as they are; only Holm has one fewer to correct for.
        remaining = replace(contest, runs={n: runs for n, runs in contest.runs.items() if n != left_out})
        kept = {t: {n: s for n, s in each.items() if n != left_out} for t, each in compared.items()}
        apart = {key: p for key, p in further.items() if key[1] != left_out}
        for target in compared:
            yield _variant(remaining, kept, apart, target, target, _SCHEDULE, left_out)
    for target in compared:
        for factor in (1 - SHIFT, 1 + SHIFT):
            level = target * factor
            if contest.metric.low <= level <= contest.metric.high and contest.tells(level):
                moved = {level if each == target else each: compared[each] for each in compared}
                moved[level] = compare(contest, level)
                primary = level if target == contest.primary else contest.primary
                to = replace(contest, primary=primary)
                yield _variant(to, moved, further, target, level, _TARGET, f"{level:.4g}")


def _variant(
    contest: Contest,
    compared: Compared,
    further: Mapping[Comparison, float | None],
    target: float,
    level: float,
    kind: str,
    what: str,
) -> Variant:
    found = judge(contest, compared, further).verdicts
    return target, kind, what, {name: found[level, name] for name in contest.runs}


def _replicates(contest: Contest) -> list[tuple[int, int]]:
    """Return place (from 1) and number of the reference's replicates, the same."""
    numbers = sorted({run.replicate for run in contest.runs[contest.reference]})
    return [(number, number) for number in numbers]


def _without_unit(contest: Contest, unit: int) -> Contest:
    """Return the contest without the runs of a replicate, or of a seed where there is one replicate."""

    def kept(run: Trial) -> bool:
        return (run.replicate if contest.replicated else run.seed) != unit

    return replace(contest, runs={n: [run for run in runs if kept(run)] for n, runs in contest.runs.items()})


def _seeds(contest: Contest, target: float) -> list[tuple[int, int]]:
    """Return place (from 1) and seed of the reference's runs; of many, the most influential.

    Leaving out pair i moves log(mean r / mean s) by about (s_i / mean s - r_i / mean r) / n.
    """
    base = contest.runs[contest.reference]
    seeds = [(place, trial.seed) for place, trial in enumerate(base, start=1)]
    if len(seeds) <= MOST_SEEDS:
        return seeds
    moves: dict[int, float] = {}
    for name, runs in contest.runs.items():
        if name == contest.reference:
            continue
        pairs = pairs_of(base, runs)
        if not pairs[0]:
            continue
        r, s = (
            restricted_over(contest.columns, trials, contest.metric, [target], contest.timing)[:, 0]
            for trials in pairs
        )
        for trial, move in zip(pairs[0], np.abs(r / r.mean() - s / s.mean()), strict=True):
            moves[trial.seed] = max(moves.get(trial.seed, 0.0), float(move))
    most = sorted(seeds, key=lambda seed: (-moves.get(seed[1], 0.0), seed[0]))[:MOST_SEEDS]
    return sorted(most)
