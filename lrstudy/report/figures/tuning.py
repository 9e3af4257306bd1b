"""Gain and cost of tuning: best value and price of reaching the target, by number of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lrstudy.analysis.summary import ScheduleSummary, Summary, TuningCurve
from lrstudy.report.figures.common import measured, no_tuning_trials, searches, tunings, tunings_in_words
from lrstudy.report.figures.model import STATIC, Axis, Figure, Line, Panel, Points, Values, table
from lrstudy.report.text import level, listed, metric_words, percent, shown_time, time_words
from lrstudy.rules.clocks import UNIT_OF
from lrstudy.rules.counting import counted

KEY = "tuning"
TITLE = "Cost of tuning"

_CurveOf = Callable[[ScheduleSummary], TuningCurve | None]


def tuning_curves(study: Summary) -> Figure:
    """Expected best value after n trials, and expected time to the target when n trials are tuned first."""
    words = metric_words(study.metric)
    shares = study.metric.is_share
    x, unit = Axis("tuning trials", switch=True), study.clock
    by_metric = not study.objective or study.objective.startswith("best ")
    best = f"best {words}" if by_metric else study.objective
    least = "least " if " to " in best else ""
    parts: list[tuple[str, Axis, _CurveOf]] = [
        (
            f"Expected {least}{best} after n trials",
            Axis(best, percent=shares and not least),
            lambda s: s.best_of,
        ),
        (
            f"Expected {unit} to {level(study.metric, _priced(study))}, tuning included",
            Axis(f"total {unit}", log=True, switch=True),
            lambda s: s.price_of_target,
        ),
    ]
    panels = []
    rows: list[list[object]] = []
    for title, y, get in parts:
        marks = []
        for index, schedule in enumerate(study.schedules):
            curve = get(schedule)
            if curve is None or not measured(curve.value):
                continue
            marks.append(_line(index, schedule.name, curve))
            rows += [[y.title, schedule.name, *row] for row in _rows(curve)]
        if marks:
            panels.append(Panel(title, x, replace(y, range=_close_up(marks, y)), tuple(marks)))
    if not panels:
        why = no_tuning_trials(study) or "No tuning trial has ended yet, or none gave a value."
        return Figure(KEY, TITLE, why, "")
    columns = ["quantity", "schedule", "trials", "value", "low", "high"]
    return Figure(KEY, TITLE, _takeaway(study), _reading(study), tuple(panels), table(columns, rows))


def _close_up(marks: Sequence[Line], y: Axis) -> tuple[float, float] | None:
    """Return a range around the values: the wide band of the first few trials would hide everything else."""
    if y.log:
        return None
    points = [one for mark in marks for one in mark.points.values()]
    values = [value for one in points for value in measured(one.y)]
    ends = [*values, *(end for one in points for end in measured((*one.low, *one.high)))]
    room = 0.6 * (max(values) - min(values)) or 0.1 * abs(max(values)) or 1.0
    low, high = max(min(ends), min(values) - room), min(max(ends), max(values) + room)
    return (low - 0.05 * (high - low), high + 0.05 * (high - low)) if high > low else None


def _priced(study: Summary) -> float:
    return float("nan") if study.priced is None else study.targets[study.priced]


def _line(index: int, name: str, curve: TuningCurve) -> Line:
    last = len(curve.trials) - 1
    # The curves flatten: the first trials are drawn one by one, later ones at growing distances.
    places = sorted(
        {*range(min(last + 1, 50)), *(min(last, round(last ** (k / 150))) for k in range(151)), last}
    )
    at = tuple(float(curve.trials[place]) for place in places)

    def drawn(values: Values) -> Values:
        return tuple(values[place] for place in places) if values else values

    return Line(index, name, {STATIC: Points(at, drawn(curve.value), drawn(curve.low), drawn(curve.high))})


def _rows(curve: TuningCurve) -> list[list[object]]:
    return [
        [n, curve.value[i], curve.low[i] if curve.low else None, curve.high[i] if curve.high else None]
        for i, n in enumerate(curve.trials)
    ]


def _takeaway(study: Summary) -> str:
    """Compare tuned schedules with those that need no tuning; without one, report if tuning was finished."""
    price = _against_untuned(study)
    if price:
        return price
    rising = [
        s.name
        for s in study.schedules
        if s.best_of is not None and len(s.best_of.trials) > 1 and _still_rising(s.best_of)
    ]
    if rising:
        was = "was" if len(rising) == 1 else "were"
        return f"{listed(rising)} {was} still improving at the last tuning trial: more trials may help."
    return "No tuning curve was still improving noticeably at its last trial."


def _against_untuned(study: Summary) -> str:
    """Compare the time to a target, tuning included, with that of the best schedule without tuning."""
    place = study.priced
    if place is None or not study.complete:
        return ""  # before tuning has ended, one trial does not mean that there is nothing to tune
    times = {
        s.name: ert for s in study.schedules if not searches(s) and (ert := s.reach[place].ert) is not None
    }
    tuned = [s for s in study.schedules if searches(s) and s.price_of_target is not None]
    if not times or not tuned:
        return ""
    best = min(times, key=lambda name: times[name])
    goal = level(study.metric, study.targets[place])
    paid = [f"{s.name} (with {counted(s.break_even, 'trial')})" for s in tuned if s.break_even is not None]
    who = listed(paid) if paid else "no tuned schedule"
    reach = "reach" if len(paid) > 1 else "reaches"
    less = f"fewer {study.clock}"
    if study.clock == "seconds" or study.clock not in UNIT_OF:
        less = f"less {time_words(study.clock)}"
    takes = shown_time(study.clock, times[best]) + ("" if study.clock == "seconds" else f" {study.clock}")
    least = f"{best}, which needs no tuning and takes {takes}"
    return f"Tuning included, {who} {reach} {goal} in {less} than {least}."


def _still_rising(curve: TuningCurve) -> bool:
    """Return True if the last quarter of the trials gave a tenth or more of the expected best's gain."""
    values = measured(curve.value)
    if len(values) < 4:
        return False
    whole = abs(values[-1] - values[0])
    late = abs(values[-1] - values[-1 - len(values) // 4])
    return whole > 0 and late > 0.1 * whole


def _reading(study: Summary) -> str:
    return (
        f"Left: the expected {_objective(study)} of the best of n random draws from the tuning "
        f"trials{_of_tunings(study)}, with its {percent(study.confidence)} band (cut off where it is very "
        f"wide). Right: the expected {time_words(study.clock)} until the target is reached, if n trials are "
        f"tuned first and the best of them is then trained{_mean_of_tunings(study)}. A schedule without a "
        "search space is a single point at one trial."
    )


def _objective(study: Summary) -> str:
    """Return what tuning compares, in words."""
    by_metric = not study.objective or study.objective.startswith("best ")
    return metric_words(study.metric) if by_metric else study.objective


def _of_tunings(study: Summary) -> str:
    return f" of all {tunings_in_words(study)} tunings" if tunings(study) > 1 else ""


def _mean_of_tunings(study: Summary) -> str:
    return f" (the cost of one tuning, the mean of {tunings_in_words(study)})" if tunings(study) > 1 else ""
