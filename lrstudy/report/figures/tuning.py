"""What tuning buys and costs: best value and price of reaching the target, against the number of trials."""

from __future__ import annotations

from collections.abc import Callable

from lrstudy.analysis.summary import ScheduleSummary, Summary, TuningCurve
from lrstudy.report.figures.common import measured
from lrstudy.report.figures.model import STATIC, Axis, Figure, Line, Panel, Points, table
from lrstudy.report.text import counted, is_share, level, listed, metric_words, percent

KEY = "tuning"
TITLE = "Tuning and its price"

_CurveOf = Callable[[ScheduleSummary], TuningCurve | None]


def tuning_curves(study: Summary) -> Figure:
    """Expected best value after n trials, and expected time to the target when n trials are tuned first."""
    words = metric_words(study.metric)
    shares = is_share(study.metric)
    x = Axis("tuning trials", switch=True)
    parts: list[tuple[str, Axis, _CurveOf]] = [
        (f"Expected best {words} after n trials", Axis(f"best {words}", percent=shares), lambda s: s.best_of),
        (
            f"Expected epochs to {level(study.metric, _hardest(study))}, tuning included",
            Axis("epochs in all", log=True, switch=True),
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
            panels.append(Panel(title, x, y, tuple(marks)))
    if not panels:
        return Figure(KEY, TITLE, "No tuning trial has ended yet, or none gave a value.", "")
    columns = ["quantity", "schedule", "trials", "value", "low", "high"]
    return Figure(KEY, TITLE, _takeaway(study), _reading(study), tuple(panels), table(columns, rows))


def _hardest(study: Summary) -> float:
    if not study.targets:
        return float("nan")
    return (max if study.higher_is_better else min)(study.targets)


def _line(index: int, name: str, curve: TuningCurve) -> Line:
    at = tuple(float(n) for n in curve.trials)
    return Line(index, name, {STATIC: Points(at, curve.value, curve.low, curve.high)})


def _rows(curve: TuningCurve) -> list[list[object]]:
    return [
        [n, curve.value[i], curve.low[i] if curve.low else None, curve.high[i] if curve.high else None]
        for i, n in enumerate(curve.trials)
    ]


def _takeaway(study: Summary) -> str:
    """Where tuning pays for itself against the schedules that need none."""
    free = [schedule.name for schedule in study.schedules if schedule.tune_trials == 1]
    paid = [s for s in study.schedules if s.break_even is not None]
    said = [f"{s.name} needs {counted(s.break_even or 0, 'trial')}" for s in paid]
    if said and free:
        return f"To catch up with the untuned {listed(free)} for the price of its tuning, {'; '.join(said)}."
    rising = [
        s.name
        for s in study.schedules
        if s.best_of is not None and len(s.best_of.trials) > 1 and _still_rising(s.best_of)
    ]
    if rising:
        return f"{listed(rising)} was still improving at the last tuning trial: more trials may help."
    return "No tuning curve was still improving noticeably at its last trial."


def _still_rising(curve: TuningCurve) -> bool:
    """Whether the last quarter of the trials still moved the expected best by a tenth of its whole way."""
    values = measured(curve.value)
    if len(values) < 4:
        return False
    whole = abs(values[-1] - values[0])
    late = abs(values[-1] - values[-1 - len(values) // 4])
    return whole > 0 and late > 0.1 * whole


def _reading(study: Summary) -> str:
    return (
        f"Left: the {metric_words(study.metric)} one can expect from the best of n random draws out of the "
        f"tuning trials, with its {percent(study.confidence)} band. Right: the epochs one has spent when "
        "the target is reached, if n trials were tuned first and the best of them was then trained. A "
        "schedule without a search space is a single point at one trial."
    )
