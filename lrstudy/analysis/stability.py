"""Stability of the verdict when a seed or a schedule is left out, or the target moves a little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lrstudy.analysis.pairing import pairs_of, restricted_over
from lrstudy.analysis.speedup import Speedup
from lrstudy.analysis.time_to_target import Contest, speedups_at, verdicts_at

SHIFT = 0.01
# Of more seeds than this, only the most influential are left out in turn.
MOST_SEEDS = 30
# Up to this number the seeds that change a verdict are named.
FEW = 3
_SEED, _SCHEDULE = "one seed left out", "one schedule left out"
_TARGET = f"the target moved by {SHIFT:.0%}"
_CHANGES = {_SEED: "seed {} left out", _SCHEDULE: "{} left out", _TARGET: "the target at {}"}


def stability(contest: Contest, targets: Sequence[float]) -> tuple[str, ...]:
    """Return one sentence per target: the verdicts that change, and under which change."""
    if len(contest.runs) < 2 or any(len(runs) < 3 for runs in contest.runs.values()):
        return ()
    return tuple(_sentence(contest, target) for target in targets)


def _sentence(contest: Contest, target: float) -> str:
    speedups = speedups_at(contest, target)
    verdicts = verdicts_at(contest, target, speedups)
    changed: dict[str, dict[tuple[str, str], list[str]]] = {}
    tried: dict[str, int] = {}
    for kind, what, variant in _variants(contest, target, speedups):
        tried[kind] = tried.get(kind, 0) + 1
        for name, verdict in variant.items():
            if verdict != verdicts[name]:
                changed.setdefault(name, {}).setdefault((verdict, kind), []).append(what)
    count = sum(tried.values())
    if not changed:
        some = tried[_SEED] < len(contest.runs[contest.reference])
        most = f"one of the {tried[_SEED]} most influential seeds left out"
        kinds = ", ".join(most if some and kind == _SEED else kind for kind in tried)
        return f"Target {target:g}: all verdicts hold in each of {count} variants ({kinds})."
    parts = []
    for name, how in changed.items():
        ways = [f"{verdict} {_which(kind, what, tried[kind])}" for (verdict, kind), what in how.items()]
        parts.append(f"{name} ({verdicts[name]}) becomes {'; '.join(ways)}")
    return f"Target {target:g}: {'. '.join(parts)}. The other verdicts hold in all {count} variants."


def _which(kind: str, what: Sequence[str], tried: int) -> str:
    """Name the changes of one kind that change a verdict if they are few, else count them."""
    if kind == _SEED and len(what) > FEW:
        return f"with any one of {len(what)} of the {tried} seeds left out"
    listed = what[0] if len(what) == 1 else f"{', '.join(what[:-1])} or {what[-1]}"
    return f"with {_CHANGES[kind].format(listed)}"


def _variants(
    contest: Contest, target: float, speedups: Mapping[str, Speedup]
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the kind of change, the change itself, and the resulting verdicts."""
    seeds = _seeds(contest, target)
    for place, seed in seeds:
        runs = {name: [run for run in runs if run.seed != seed] for name, runs in contest.runs.items()}
        yield _SEED, str(place), _verdicts(replace(contest, runs=runs), target)
    for left_out in contest.runs:
        if left_out != contest.reference and len(contest.runs) > 2:
            # The speedups of the others stay as they are; only Holm has one fewer to correct for.
            less = replace(contest, runs={n: runs for n, runs in contest.runs.items() if n != left_out})
            kept = {name: speedup for name, speedup in speedups.items() if name != left_out}
            yield _SCHEDULE, left_out, verdicts_at(less, target, kept)
    for factor in (1 - SHIFT, 1 + SHIFT):
        level = target * factor
        if contest.metric.low <= level <= contest.metric.high:
            yield _TARGET, f"{level:.4g}", _verdicts(contest, level)


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


def _verdicts(contest: Contest, target: float) -> dict[str, str]:
    return verdicts_at(contest, target, speedups_at(contest, target))
