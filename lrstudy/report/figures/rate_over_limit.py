"""The distance to the stability limit, and the share of the last layer's gradient, over the training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from lrstudy.analysis.summary import Summary
from lrstudy.report.figures.common import CurveOf, all_positive, curve_lines, measured, with_curve
from lrstudy.report.figures.model import Axis, Figure, Panel, Rule, Values, table
from lrstudy.report.text import listed, time_column, trim
from lrstudy.rules.diagnostics import CURVATURE, GRADIENT_RATIO, RATE_OVER_LIMIT

KEY = "rate-over-limit"
TITLE = "Distance to the stability limit"
# Column, title of its panel, title of its axis, and the line that it is compared with.
_PARTS = (
    (RATE_OVER_LIMIT, "Learning rate over the stability limit", "rate / limit", "limit"),
    (CURVATURE, "Curvature, the largest eigenvalue of the loss's Hessian", "curvature", ""),
    (
        GRADIENT_RATIO,
        "The last layer's gradient over the largest of an earlier one",
        "last / largest earlier",
        "premise",
    ),
)


def rate_over_limit(study: Summary) -> Figure | None:
    """Medians over the confirm runs of what the study measured; None if it measured nothing of it."""
    found = {column: items for column, *_ in _PARTS if (items := with_curve(study, column))}
    if not found:
        return None
    panels: list[Panel] = []
    for column, title, axis, ruled in _PARTS:
        if column in found:
            items = _positive(found[column]) if ruled else found[column]
            y = Axis(axis, log=all_positive(items), switch=all_positive(items))
            rules = (Rule("y", 1.0, ruled),) if ruled else ()
            x = Axis(study.clock, time=True, switch=not panels)
            panels.append(Panel(title, x, y, (*rules, *curve_lines(items))))
    return Figure(
        KEY,
        TITLE,
        _takeaway(study),
        _reading(found),
        tuple(panels),
        table(["schedule", time_column(study.clock), *found], _rows(study, found)),
        stacked=True,
        clock=study.clock,
    )


def _positive(items: Sequence[CurveOf]) -> list[CurveOf]:
    """Return the curves of a ratio without its zeros, which a logarithmic axis cannot show."""
    return [
        (
            index,
            schedule,
            replace(curve, value=_nonzero(curve.value), low=_nonzero(curve.low), high=_nonzero(curve.high)),
        )
        for index, schedule, curve in items
    ]


def _nonzero(values: Values) -> Values:
    return tuple(value or None for value in values)


def _rows(study: Summary, found: dict[str, list[CurveOf]]) -> list[list[object]]:
    values = {
        (column, schedule.name): curve.value
        for column, items in found.items()
        for _, schedule, curve in items
    }
    rows: list[list[object]] = []
    for schedule in study.schedules:
        curves = [values.get((column, schedule.name)) for column in found]
        times = next((schedule.curves[column].times for column in found if column in schedule.curves), {})
        for at, time in enumerate(times.get(study.clock, ())):
            rows.append(
                [schedule.name, time, *(one[at] if one and at < len(one) else None for one in curves)]
            )
    return rows


def _takeaway(study: Summary) -> str:
    return " ".join(filter(None, (_of_rates(study), _of_gradients(study)))) or "Nothing finite was measured."


def _of_rates(study: Summary) -> str:
    """Name the schedule that is beyond the limit most often, and how far."""
    shares = {
        schedule.name: schedule.diagnosed.unstable
        for schedule in study.schedules
        if schedule.diagnosed is not None and schedule.diagnosed.unstable is not None
    }
    if not shares:
        return ""
    name = max(shares, key=lambda name: shares[name])
    if not shares[name]:
        return "No schedule's rate was above the stability limit."
    curve = next(schedule.curves[RATE_OVER_LIMIT] for schedule in study.schedules if schedule.name == name)
    most = max(measured(curve.value))
    return (
        f"{name} was above the stability limit in {shares[name]:.0%} of its measurements, in the median "
        f"of its runs by a factor of up to {trim(most, 3)}."
    )


def _of_gradients(study: Summary) -> str:
    """Say of each schedule that follows the Lipschitz rule how often its premise held; else of all."""
    known = [
        (schedule, schedule.diagnosed.premise, schedule.diagnosed.layer)
        for schedule in study.schedules
        if schedule.diagnosed is not None and schedule.diagnosed.premise is not None
    ]
    rule = [each for each in known if each[0].kind == "lipschitz"]
    parts = []
    for schedule, share, layer in rule or known:
        most = f" (most often it was that of {layer})" if share < 1 else ""
        parts.append(f"{share:.0%} of the measurements of {schedule.name}{most}")
    return f"The last layer's gradient was the largest in {listed(parts)}." if parts else ""


def _reading(found: Collection[str]) -> str:
    text = (
        "Medians over the confirm runs, with bands from the smallest to the largest. Each value was measured "
        "before the steps up to its evaluation, on one training batch that is the same for the whole run; a "
        "run that diverged in these steps is in it."
    )
    if RATE_OVER_LIMIT in found:
        text += (
            " A value of 0, where the loss bends upwards in no direction, is not drawn. Above 1, gradient "
            "descent with this rate is unstable on the quadratic that the loss resembles there: its limit is "
            "2/λ without momentum, with λ the curvature. Trainings often hover about 1; far above, they "
            "explode or leap to flatter places."
        )
    if GRADIENT_RATIO in found:
        text += (
            " The Lipschitz rule bounds the last layer's gradient alone; its premise is that this one is the "
            "largest, that is a ratio of at least 1."
        )
    return text
