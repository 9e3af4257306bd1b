"""Does the verdict hold when a seed or a schedule is left out, or the target moves a little?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lrstudy.analysis.reach import Contest, reach_target

SHIFT = 0.01


def stability(contest: Contest, targets: Sequence[float]) -> tuple[str, ...]:
    """One sentence per target: which verdicts change, under which change."""
    if len(contest.runs) < 2 or any(len(runs) < 3 for runs in contest.runs.values()):
        return ()
    return tuple(_sentence(contest, target) for target in targets)


def _sentence(contest: Contest, target: float) -> str:
    verdicts = _verdicts(contest, target)
    changed: dict[str, list[str]] = {}
    count, kinds = 0, dict[str, None]()
    for kind, what, variant, level in _variants(contest, target):
        count += 1
        kinds[kind] = None
        for name, verdict in _verdicts(variant, level).items():
            if verdict != verdicts[name]:
                changed.setdefault(name, []).append(f"{verdict} with {what}")
    if not changed:
        return f"Target {target:g}: all verdicts hold in each of {count} variants ({', '.join(kinds)})."
    parts = [f"{name} ({verdicts[name]}) becomes {'; '.join(how)}" for name, how in changed.items()]
    return f"Target {target:g}: {'. '.join(parts)}. The other verdicts hold in all {count} variants."


def _variants(contest: Contest, target: float) -> Iterator[tuple[str, str, Contest, float]]:
    """The kind of change, the change itself, and the comparison and target that it leads to."""
    for place, trial in enumerate(contest.runs[contest.reference], start=1):
        runs = {name: [run for run in runs if run.seed != trial.seed] for name, runs in contest.runs.items()}
        yield "one seed left out", f"seed {place} left out", replace(contest, runs=runs), target
    for left_out in contest.runs:
        if left_out != contest.reference and len(contest.runs) > 2:
            runs = {name: runs for name, runs in contest.runs.items() if name != left_out}
            yield "one schedule left out", f"{left_out} left out", replace(contest, runs=runs), target
    for factor in (1 - SHIFT, 1 + SHIFT):
        level = target * factor
        if contest.metric.low <= level <= contest.metric.high:
            yield f"the target moved by {SHIFT:.0%}", f"the target at {level:.4g}", contest, level


def _verdicts(contest: Contest, target: float) -> dict[str, str]:
    return {name: reach.verdict for name, reach in reach_target(contest, target).items()}
