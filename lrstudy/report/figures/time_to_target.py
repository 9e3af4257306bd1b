"""Time to target: the share of runs that have reached each target by each point in time."""

from __future__ import annotations

from collections.abc import Mapping

from lrstudy.analysis.summary import Reach, Steps, Summary
from lrstudy.report.figures.common import measured, no_curves, reference_runs, runs_each, without_runs
from lrstudy.report.figures.model import Axis, Figure, Line, Panel, Points, Rule, table
from lrstudy.report.text import level, listed, metric_title, metric_words, percent, point, span
from lrstudy.rules.counting import counted

KEY = "time-to-target"
TITLE = "Time to target"


def time_to_target(study: Summary) -> Figure:
    """One panel for each target: distribution functions of the time at which runs reach it."""
    if not any(reach.runs for schedule in study.schedules for reach in schedule.reach):
        return Figure(KEY, TITLE, no_curves(study) or without_runs(study), "")
    panels: list[Panel] = []
    rows: list[list[object]] = []
    for place, target in enumerate(study.targets):
        marks: list[Line] = []
        ends = _ends(study, place)
        for index, schedule in enumerate(study.schedules):
            reach = schedule.reach[place]
            if reach.hits and reach.shares:
                marks.append(_line(index, schedule.name, reach, ends))
                rows += [[target, schedule.name, *row] for row in _rows(reach)]
        if marks:
            y = Axis("share of runs", percent=True, range=(-0.02, 1.04))
            x = Axis(study.clock, time=True, switch=True)
            panels.append(Panel(_title(study, target), x, y, (*marks, Rule("y", 0.5))))
    columns = ["target", "schedule", "time counted in", "time", "share of runs", "low", "high"]
    return Figure(
        KEY, TITLE, _takeaway(study), _reading(study), tuple(panels), table(columns, rows), clock=study.clock
    )


def _title(study: Summary, target: float) -> str:
    return f"{metric_title(study.metric)} {level(study.metric, target)}"


def _ends(study: Summary, place: int) -> dict[str, float]:
    """Return the end of each panel's curves: the last hit, or the budget if some run has none."""
    ends: dict[str, float] = {}
    for schedule in study.schedules:
        reach = schedule.reach[place]
        missed = 0 < reach.hits < reach.runs
        budget = curve.times if (curve := schedule.curves.get(study.metric.name)) else {}
        for time, steps in reach.shares.items():
            known = measured([*steps.times, *(budget.get(time, ()) if missed else ())])
            ends[time] = max([ends.get(time, 0.0), *known])
    return ends


def _line(index: int, name: str, reach: Reach, ends: Mapping[str, float]) -> Line:
    points = {time: _until(steps, ends[time]) for time, steps in reach.shares.items()}
    return Line(index, name, points, step=True)


def _until(steps: Steps, end: float) -> Points:
    """The function with its last value held until the panel's end."""
    if not steps.times or steps.times[-1] is None or steps.times[-1] >= end:
        return Points(steps.times, steps.share, steps.low, steps.high)
    share, low, high = (
        (*values, values[-1]) if values else () for values in (steps.share, steps.low, steps.high)
    )
    return Points((*steps.times, end), share, low, high)


def _rows(reach: Reach) -> list[list[object]]:
    return [
        [
            time,
            at,
            steps.share[i],
            steps.low[i] if steps.low else None,
            steps.high[i] if steps.high else None,
        ]
        for time, steps in reach.shares.items()
        for i, at in enumerate(steps.times)
    ]


def _takeaway(study: Summary) -> str:
    """Name the schedule with the shortest median at the hardest target that was reached."""
    reached = [
        place
        for place in range(len(study.targets))
        if any(schedule.reach[place].hits for schedule in study.schedules)
    ]
    if not reached:
        wanted = listed([level(study.metric, target) for target in study.targets], "or")
        return f"No run of any schedule reached {wanted} {metric_words(study.metric)} within its budget."
    place = (max if study.metric.higher_is_better else min)(reached, key=lambda at: study.targets[at])
    target = level(study.metric, study.targets[place])
    medians = {
        schedule.name: median
        for schedule in study.schedules
        if (median := schedule.reach[place].median_time) is not None
    }
    if not medians:
        runs = sum(schedule.reach[place].hits for schedule in study.schedules)
        all_runs = sum(schedule.reach[place].runs for schedule in study.schedules)
        return (
            f"{runs} of {counted(all_runs, 'run')} reached {target}; for each schedule, fewer than half did."
        )
    best = min(medians, key=lambda name: (medians[name], name != study.reference))
    if runs_each(study) <= 1:
        text = f"The one run of {best} reached {target} first, at {point(study.clock, medians[best])}"
        if best != study.reference and study.reference in medians:
            text += (
                f"; that of the reference {study.reference} at {point(study.clock, medians[study.reference])}"
            )
        return f"{text}."
    text = f"Half of the runs of {best} reached {target} by {point(study.clock, medians[best])}"
    if best != study.reference:
        if study.reference in medians:
            when = point(study.clock, medians[study.reference])
            text += f"; half of those of the reference {study.reference} by {when}"
        elif reference_runs(study):
            text += f"; fewer than half of those of the reference {study.reference} did"
    return f"{text}."


def _reading(study: Summary) -> str:
    # In a clock other than the trials' own, runs end at different times, and each is drawn to its end.
    within = f" within {span(study.clock, study.length)}" if study.clock == study.trial_clock else ""
    return (
        "Each curve is the share of a schedule's confirm runs that have reached the target by that time "
        f"(one minus the Kaplan–Meier estimate); the band is its pointwise {percent(study.confidence)} "
        "interval. A run reaches a target at the first evaluation that shows it. Runs that do not reach it"
        f"{within}, and runs that diverged, keep a curve below 100%. The dotted line is at half of the "
        "runs. A schedule without a run that reached the target has no curve."
    )
