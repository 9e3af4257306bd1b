"""Warnings where two rules of arrival at a target, or the value at the end, give different verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import Comparison
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.judgement import REFERENCE, compare, judge
from lrstudy.analysis.results import Ends, EndValue
from lrstudy.rules.goal import MANY_EVALUATIONS
from lrstudy.rules.metrics import Metric

# In every warning of this module, for programs that count them.
RULES_DISAGREE: Final = "the rules of arrival disagree"
Verdicts = Mapping[Comparison, str]
# The rules that are compared: the numbers of evaluations in a row.
_STAYS: Final = (1, 3)
_WORDS: Final = {"never": "never there"}


def verdicts_by_stay(
    contest: Contest, targets: Sequence[float], further: Mapping[Comparison, float | None], study: Any
) -> dict[int, Verdicts]:
    """Return the verdicts by evaluations in a row: of the first at the target, and of three in a row.

    Empty where a trial has too few evaluations for the latter, or its runs were stopped before.
    """
    own = contest.columns.stay
    most = max((run.end - run.begin for runs in contest.runs.values() for run in runs), default=0)
    if most < MANY_EVALUATIONS or (study.goal.stop == "all" and study.goal.stay < max(_STAYS)):
        return {}
    return {stay: _verdicts(contest, targets, further, stay) for stay in sorted({*_STAYS, own})}


def _verdicts(
    contest: Contest, targets: Sequence[float], further: Mapping[Comparison, float | None], stay: int
) -> Verdicts:
    other = replace(contest, columns=replace(contest.columns, stay=stay))
    return judge(other, {target: compare(other, target) for target in targets}, further).verdicts


def arrival_warnings(
    targets: Sequence[float],
    verdicts: Verdicts,
    by_stay: Mapping[int, Verdicts],
    end: Ends | None,
    names: Sequence[str],
    metric: Metric,
) -> tuple[str, ...]:
    """Return one sentence for each target on which the rules of arrival disagree.

    ``verdicts`` are the study's, ``by_stay`` those by other rules. At the end of the training a schedule is
    at a target, or it is not, if the interval of its mean value is wholly on one side.
    """
    found = []
    for target in targets:
        parts = _between_stays(target, by_stay) + _with_end(target, verdicts, end, names, metric)
        if parts:
            found.append(f"Target {target:g}: {RULES_DISAGREE}. {' '.join(parts)}")
    return tuple(found)


def _between_stays(target: float, by_stay: Mapping[int, Verdicts]) -> list[str]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for at, name in next(iter(by_stay.values()), {}):
        said = tuple(each[at, name] for each in by_stay.values())
        if at == target and len(set(said)) > 1:
            groups.setdefault(said, []).append(name)
    sentences = []
    for said, names in groups.items():
        ways = [
            f"{_WORDS.get(verdict, verdict)} by {_rule(stay)}"
            for stay, verdict in zip(by_stay, said, strict=True)
        ]
        sentences.append(f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {_listed(ways)}.")
    return sentences


def _rule(stay: int) -> str:
    return "the first evaluation at it" if stay == 1 else f"{stay} evaluations in a row"


def _with_end(
    target: float, verdicts: Verdicts, end: Ends | None, names: Sequence[str], metric: Metric
) -> list[str]:
    """Return sentences on schedules that are at the target at the end while the reference is not, or not."""
    values = {} if end is None else dict(zip(names, end.values, strict=True))
    reference = next((value for value in values.values() if value.verdict == REFERENCE), None)
    if end is None or reference is None or (base := _at_end(reference, target, metric)) is None:
        return []
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        verdict = verdicts.get((target, name), REFERENCE)
        agreeing = (REFERENCE, "slower", "never") if base else (REFERENCE, "faster")
        if _at_end(value, target, metric) is (not base) and verdict not in agreeing:
            groups.setdefault(verdict, []).append(name)
    sentences = []
    for verdict, which in groups.items():
        be, own = ("is", "it is") if len(which) == 1 else ("are", "they are")
        said = f"{_listed(which)} {be} {_WORDS.get(verdict, verdict)} in time to it, but after"
        only = f"the reference is at it and {own} not" if base else f"{own} at it and the reference is not"
        sentences.append(f"{said} {end.length:g} {end.clock} {only}, in the mean.")
    return sentences


def _at_end(end: EndValue, target: float, metric: Metric) -> bool | None:
    return None if end.diverged else _there(end.value, target, metric)


def _there(mean: Interval, target: float, metric: Metric) -> bool | None:
    """Return True if the whole interval of a mean is at a target, False if none of it is, else None."""
    if mean.low is None or mean.high is None:
        return None
    ends = {metric.reaches(limit, target) for limit in (mean.low, mean.high)}
    return ends.pop() if len(ends) == 1 else None


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
