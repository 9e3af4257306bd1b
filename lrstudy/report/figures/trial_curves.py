"""The curves of one trial: the study's metric, the losses and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from lrstudy.records import EvaluationRecord
from lrstudy.report.figures.common import measured
from lrstudy.report.figures.model import STATIC, Axis, Figure, Line, Panel, Points, table
from lrstudy.report.text import metric_words
from lrstudy.rules.clocks import COLUMN_OF
from lrstudy.rules.metrics import Metric
from lrstudy.store.trial_history import TrialHistory

# In the place of schedules: the lines of this figure.
LINES: Final = ("training", "validation")
EVALUATIONS: Final = "evaluations"
_WIDE: Final = 50  # a loss that spans such a ratio is drawn on a logarithmic axis

_Values = tuple[float | None, ...]


def trial_curves(history: TrialHistory, metric: Metric, clock: str) -> Figure:
    """Return a figure of a trial that has evaluations, in the study's clock."""
    rows = history.rows
    times = {name: at for name in (clock, *COLUMN_OF) if (at := _times(rows, name)) is not None}
    x = Axis(clock, time=True)
    if not times:  # an imported history may know no more than the order
        times, x = {STATIC: tuple(float(row.evaluation) for row in rows)}, Axis(EVALUATIONS)
    own = tuple(metric.value(row.value(metric.column)) for row in rows)
    shown = metric.column.removeprefix("val_")
    trained = tuple(metric.value(row.value(f"train_{shown}")) for row in rows)
    is_loss = metric.column in ("val_loss", "train_loss")
    panels = []
    if not is_loss:
        place = 0 if metric.column.startswith("train_") else 1
        words = metric_words(metric).removeprefix("validation ")
        y = Axis(words, percent=metric.is_share)
        panels.append(_panel(words, x, y, ((0, trained), (place, own)) if place else ((0, own),), times))
    losses = ((0, _column(rows, "train_loss")), (1, _column(rows, "val_loss")))
    panels.append(_panel("loss", x, _scaled("loss", losses), losses, times))
    rates = ((0, _column(rows, "lr")),)
    panels.append(_panel("learning rate", x, _scaled("learning rate", rates), rates, times))
    kept = tuple(panel for panel in panels if panel.marks)
    numbers = [list(row.values().values()) for row in rows]
    columns = list(rows[0].values()) if rows else []
    title = history.record.trial_id
    return Figure(title, title, "", "", kept, table(columns, numbers), clock=clock)


def _panel(
    title: str,
    x: Axis,
    y: Axis,
    lines: Sequence[tuple[int, _Values]],
    times: dict[str, _Values],
) -> Panel:
    marks = tuple(
        Line(place, LINES[place], {name: Points(at, values) for name, at in times.items()})
        for place, values in lines
        if measured(values)
    )
    return Panel(title[:1].upper() + title[1:], x, y, marks)


def _scaled(title: str, lines: Sequence[tuple[int, _Values]]) -> Axis:
    values = measured(value for _, line in lines for value in line)
    return Axis(title, log=bool(values) and min(values) > 0 and max(values) > _WIDE * min(values))


def _column(rows: Sequence[EvaluationRecord], name: str) -> _Values:
    values = [row.value(name) for row in rows]
    return tuple(value if value is not None and math.isfinite(value) else None for value in values)


def _times(rows: Sequence[EvaluationRecord], clock: str) -> _Values | None:
    """Return the times of all evaluations in a clock, None where one does not have it."""
    values = [row.value(COLUMN_OF[clock]) for row in rows]
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not rows or len(known) < len(values):
        return None
    return tuple(accumulate(known)) if clock == "seconds" else tuple(known)
