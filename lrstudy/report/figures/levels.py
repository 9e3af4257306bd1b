"""Speedup against the reference at every level of the metric, not only at the study's targets."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.summary import Levels, Summary
from lrstudy.report.figures.common import by_name, measured, no_comparison
from lrstudy.report.figures.model import STATIC, Axis, Figure, Line, Panel, Points, Rule, table
from lrstudy.report.text import level, listed, metric_words, percent
from lrstudy.rules.counting import counted

KEY = "speedup-by-target"

_LevelsOf = tuple[int, str, Levels]


def speedup_by_target(study: Summary) -> Figure:
    """The ratio of mean times to target over a ladder of targets, with a simultaneous band."""
    title = f"Speedup over {study.reference} against the target"
    found: list[_LevelsOf] = [
        (index, schedule.name, schedule.levels)
        for index, schedule in enumerate(study.schedules)
        if schedule.levels is not None
        and measured(schedule.levels.value)
        and schedule.name != study.reference
    ]
    if not found:
        why = no_comparison(study)
        if len(study.schedules) == 1:
            why = "The reference is the only schedule: there is nothing to compare."
        return Figure(KEY, title, why or "At no level of the metric is there a ratio with an interval.", "")
    marks = tuple(_line(*one) for one in found)
    words = metric_words(study.metric)
    targets = tuple(Rule("x", target) for target in study.targets)
    named = listed([level(study.metric, target) for target in study.targets])
    panel = f"Times as fast as {study.reference}" + (f" (dotted: {named})" if named else "")
    x = Axis(f"target: {words}", percent=study.metric.is_share)
    y = Axis(f"times as fast as {study.reference}", log=True, switch=True)
    rows = [
        [
            name,
            at,
            levels.value[i],
            levels.low[i] if levels.low else None,
            levels.high[i] if levels.high else None,
        ]
        for _, name, levels in found
        for i, at in enumerate(levels.levels)
    ]
    return Figure(
        KEY,
        title,
        _takeaway(study, found),
        _reading(study),
        (Panel(panel, x, y, (Rule("y", 1.0), *targets, *marks)),),
        table(["schedule", f"target ({study.metric.name})", "speedup", "low", "high"], rows),
    )


def _line(index: int, name: str, levels: Levels) -> Line:
    return Line(index, name, {STATIC: Points(levels.levels, levels.value, levels.low, levels.high)})


def _takeaway(study: Summary, found: Sequence[_LevelsOf]) -> str:
    """List the levels at which each band excludes 1."""
    said = []
    undecided = []
    for _, name, levels in found:
        ahead = _clear(levels.levels, levels.low, above=True)
        behind = _clear(levels.levels, levels.high, above=False)
        how = [
            f"{word} {_span(study, clear, len(levels.levels))}"
            for word, clear in (("faster", ahead), ("slower", behind))
            if clear
        ]
        if how:
            said.append(f"{name} is {listed(how)}")
        else:
            undecided.append(name)
    if undecided:
        said.append(f"{by_name(undecided)}: equal speed is excluded at no level")
    return f"By the band over all levels, {'; '.join(said)}."


def _clear(at: Sequence[float | None], ends: Sequence[float | None], *, above: bool) -> list[float]:
    return [
        place
        for place, end in zip(at, ends, strict=False)
        if place is not None and end is not None and (end > 1 if above else end < 1)
    ]


def _span(study: Summary, found: Sequence[float], of: int) -> str:
    low, high = (level(study.metric, round(end, 4)) for end in (min(found), max(found)))
    where = low if low == high else f"{low} to {high}"
    return f"at {len(found)} of {counted(of, 'level')} ({where})"


def _reading(study: Summary) -> str:
    return (
        "The ratio of mean times to target, reference over schedule, for each target; above 1 the schedule "
        f"is faster. The band is simultaneous: it covers the whole curve with {percent(study.confidence)} "
        "confidence, so it stays valid for a target chosen after looking. Vertical dotted lines are the "
        "study's targets. A curve ends where there is no ratio any more."
    )
