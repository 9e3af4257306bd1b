"""Learning-rate trajectories, and below them the measurements of the Lipschitz rule: Kz and L."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.summary import Summary
from lrstudy.report.figures.common import (
    CurveOf,
    all_positive,
    curve_lines,
    log_range,
    measured,
    no_curves,
    runs_each,
    with_curve,
    without_runs,
)
from lrstudy.report.figures.model import Axis, Figure, Panel, table
from lrstudy.report.text import percent, time_column, trim

KEY = "learning-rates"
TITLE = "Learning-rate trajectories"
# Column, title of its panel, title of its axis.
_PARTS = (
    ("lr", "Learning rate", "learning rate"),
    ("kz", "Kz, the largest norm of a batch's last hidden activations", "Kz"),
    ("lipschitz_constant", "L, the Lipschitz constant computed from it (rate 1/L for plain SGD)", "L"),
)


def learning_rates(study: Summary) -> Figure:
    """The rate of each schedule over the training, mean over the confirm runs; Kz and L where measured."""
    rates = with_curve(study, "lr")
    if not rates:
        return Figure(KEY, TITLE, no_curves(study) or _without_rates(study), "")
    panels: list[Panel] = []
    columns: dict[str, list[CurveOf]] = {}
    for column, title, axis in _PARTS:
        items = with_curve(study, column)
        if items:
            columns[column] = items
            lines = curve_lines(items)
            log = all_positive(items)
            y = Axis(axis, log=log, switch=log, range=log_range(items))
            panels.append(Panel(title, Axis(study.clock, time=True, switch=not panels), y, lines))
    return Figure(
        KEY,
        TITLE,
        _takeaway(study, rates),
        _reading(study, with_constants=len(panels) > 1),
        tuple(panels),
        table(["schedule", time_column(study.clock), *columns], _rows(study, rates, columns)),
        stacked=True,
        clock=study.clock,
    )


def _without_rates(study: Summary) -> str:
    """Return the sentence for a study without a recorded rate: imported logs often have none."""
    ended = any(schedule.confirm_trials for schedule in study.schedules)
    return "No learning rate was recorded." if ended else without_runs(study)


def _rows(study: Summary, rates: Sequence[CurveOf], columns: dict[str, list[CurveOf]]) -> list[list[object]]:
    values = {
        (column, schedule.name): curve.value
        for column, items in columns.items()
        for _, schedule, curve in items
    }
    rows: list[list[object]] = []
    for _, schedule, curve in rates:
        for at, time in enumerate(curve.times[study.clock]):
            own = [values.get((column, schedule.name)) for column in columns]
            rows.append([schedule.name, time, *(one[at] if one and at < len(one) else None for one in own)])
    return rows


def _takeaway(study: Summary, rates: Sequence[CurveOf]) -> str:
    """Name the schedule whose mean rate moves most, and the highest rate."""
    spans = {}
    for _, schedule, curve in rates:
        positive = [value for value in measured(curve.value) if value > 0]
        if positive:
            spans[schedule.name] = (min(positive), max(positive))
    if not spans:
        return "Every recorded rate is zero."
    name = max(spans, key=lambda name: spans[name][1] / spans[name][0])
    low, high = spans[name]
    if high / low < 1.005:
        return "No schedule changed its rate during the training."
    rate = "mean rate" if runs_each(study) > 1 else "rate"
    text = f"The {rate} of {name} moves most, between {trim(low, 3)} and {trim(high, 3)}"
    highest = max(spans, key=lambda name: spans[name][1])
    if highest != name:
        text += f"; the highest is that of {highest}, {trim(spans[highest][1], 3)}"
    return f"{text}."


def _reading(study: Summary, *, with_constants: bool) -> str:
    bands = f"pointwise {percent(study.confidence)} bands"
    each = (
        "each epoch's mean rate" if study.moment == "epoch" else "the mean rate since the evaluation before"
    )
    text = f"Means over the confirm runs of {each}, with {bands}."
    if with_constants:
        text += (
            " Below them are the values that set the Lipschitz rule's rate: Kz is the largest Frobenius norm "
            "of a batch of inputs to the last layer, L the constant computed from it. Other schedules have "
            "no line there."
        )
    return text
