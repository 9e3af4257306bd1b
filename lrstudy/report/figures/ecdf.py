"""Share of the (run, level) pairs that are reached by each time."""

from __future__ import annotations

from lrstudy.analysis.summary import Ecdf, Summary
from lrstudy.report.figures.common import no_curves, without_runs
from lrstudy.report.figures.model import Axis, Figure, Line, Panel, Points, table, time_title
from lrstudy.report.text import metric_words, percent, time_column, time_words
from lrstudy.rules.counting import counted

KEY = "attainment"
TITLE = "All levels together"
_MOST_POINTS = 400


def attainment(study: Summary) -> Figure:
    """The empirical distribution function of the time to target, pooled over a ladder of targets."""
    found = [
        (index, schedule.name, schedule.ecdf)
        for index, schedule in enumerate(study.schedules)
        if schedule.ecdf is not None and schedule.ecdf.runs
    ]
    if not found:
        why = no_curves(study) or without_runs(study) or "No level of the metric could be derived."
        return Figure(KEY, TITLE, why, "")
    x = Axis(time_title(study.clock), switch=True)
    y = Axis("share of (run, level) pairs", percent=True, range=(-0.02, 1.04))
    marks = tuple(_line(index, name, ecdf) for index, name, ecdf in found)
    rows = [
        [name, time, share]
        for _, name, ecdf in found
        for time, share in zip(ecdf.times, ecdf.share, strict=True)
    ]
    return Figure(
        KEY,
        TITLE,
        _takeaway(study, [(name, ecdf) for _, name, ecdf in found]),
        _reading(study, found[0][2]),
        (Panel("", x, y, marks),),
        table(["schedule", time_column(study.clock), "share of (run, level) pairs"], rows),
    )


def _line(index: int, name: str, ecdf: Ecdf) -> Line:
    every = max(1, len(ecdf.times) // _MOST_POINTS)
    places = [*range(0, len(ecdf.times), every)]
    if places[-1] != len(ecdf.times) - 1:
        places.append(len(ecdf.times) - 1)
    x = tuple(float(ecdf.times[place]) for place in places)
    y = tuple(ecdf.share[place] for place in places)
    return Line(index, name, {"": Points(x, y)}, step=True)


def _takeaway(study: Summary, found: list[tuple[str, Ecdf]]) -> str:
    """Name the schedule with the largest area, and compare it with the reference."""
    best = max(found, key=lambda one: (one[1].area, one[0] == study.reference))
    most = percent(round(best[1].area, 3))
    text = f"Averaged over the {time_words(study.clock)}, {best[0]} has reached {most} of all pairs"
    own = next((ecdf for name, ecdf in found if name == study.reference), None)
    if own is None or best[0] == study.reference:
        return f"{text}, the most of all."
    return f"{text}, the reference {study.reference} {percent(round(own.area, 3))}."


def _reading(study: Summary, ecdf: Ecdf) -> str:
    moment = "epoch" if study.clock == "epochs" else "time"
    return (
        f"Each confirm run is paired with {counted(ecdf.levels, 'level')} of the "
        f"{metric_words(study.metric)}; the curve is the share of these pairs in which the run has reached "
        f"the level by that {moment}. It does not depend on the choice of a target: height early on means "
        "speed, height at the end means a good final value. The area under the curve measures both. "
        "Verdicts do not use it."
    )
