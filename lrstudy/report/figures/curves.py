"""Learning curves: the study's metric and the training loss of the confirm runs, mean and interval."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.summary import Curve, Summary
from lrstudy.report.figures.common import (
    CurveOf,
    all_positive,
    curve_lines,
    curve_rows,
    log_range,
    measured,
    no_curves,
    runs_each,
    times_of,
    with_curve,
    without_runs,
)
from lrstudy.report.figures.model import Axis, Figure, Panel, Rule, table
from lrstudy.report.text import (
    level,
    listed,
    metric_title,
    metric_words,
    percent,
    point,
    share,
    share_interval,
)
from lrstudy.rules.counting import counted

KEY = "learning-curves"
TITLE = "Learning curves"
_OTHERS = 4  # further declared metrics that are drawn


def learning_curves(study: Summary) -> Figure:
    """The mean over confirm runs at each epoch, with its interval; targets as dotted lines."""
    metric = with_curve(study, study.metric.name)
    if not metric:
        return Figure(KEY, TITLE, no_curves(study) or without_runs(study), "")
    words = metric_words(study.metric)
    x = Axis(study.clock, time=True, switch=True)
    lines = curve_lines(metric)
    targets = tuple(Rule("y", target) for target in study.targets)
    title = metric_title(study.metric)
    if targets:
        named = listed([level(study.metric, target) for target in study.targets])
        title += f" (dotted: {named})"
    shares = study.metric.is_share
    y = Axis(words, percent=True, range=_share_range(metric)) if shares else Axis(words, switch=True)
    panels = [Panel(title, x, y, lines + targets)]
    loss = with_curve(study, "train_loss")
    if loss and study.metric.name != "train_loss":
        lines = curve_lines(loss)
        y = Axis("training loss", switch=True, log=all_positive(loss), range=log_range(loss))
        panels.append(Panel("Training loss", x, y, lines))
    panels += _other_metrics(study, x)
    times = times_of(curve for _, _, curve in metric)
    columns = ["schedule", *times, f"{study.metric.name} mean", "low", "high", "runs"]
    rows = curve_rows(metric, times)
    sentences = _takeaway(study, metric), _reading(study)
    return Figure(KEY, TITLE, *sentences, tuple(panels), table(columns, rows), clock=study.clock)


def _other_metrics(study: Summary, x: Axis) -> list[Panel]:
    """Return a panel for each of the first other metrics that the study declares."""
    panels = []
    for metric in study.declared:
        if metric.name != "train_loss" and (items := with_curve(study, metric.name)):
            share = metric.is_share
            log = _spans_decades(items)
            ends = log_range(items) if log else None
            y = Axis(metric_words(metric), percent=share, switch=not share, log=log, range=ends)
            panels.append(Panel(metric_title(metric), x, y, curve_lines(items)))
    return panels[:_OTHERS]


def _spans_decades(items: Sequence[CurveOf]) -> bool:
    """Return True if the means are above zero and some are a hundred times others."""
    values = measured(value for _, _, curve in items for value in curve.value)
    return all_positive(items) and max(values) > 100 * min(values)


def _share_range(items: Sequence[CurveOf]) -> tuple[float, float]:
    """Return the range of an axis of shares, cut at 0 and 1 where a band goes beyond."""
    ends = measured(end for _, _, curve in items for end in (*curve.value, *curve.low, *curve.high))
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    room = 0.03 * max(high - low, 0.01)
    return low - room, high + room


def _takeaway(study: Summary, metric: Sequence[CurveOf]) -> str:
    """Name the best schedule after the last evaluation, and compare it with the reference."""
    last = {schedule.name: curve for _, schedule, curve in metric if curve.value[-1] is not None}
    if not last:
        return "No run trained to the end of its budget."
    names = sorted(last, key=lambda name: last[name].value[-1] or 0.0, reverse=study.metric.higher_is_better)
    best, others = names[0], names[1:]
    mean = "mean " if runs_each(study) > 1 else ""
    if not others:
        return f"After {_end(study, last[best])} {best} is at {_at_end(study, last[best])}."
    text = f"After {_end(study, last[best])} {best} has the best {mean}{metric_words(study.metric)}"
    text += f", {_at_end(study, last[best])}"
    if best == study.reference:
        text += f"; {others[0]} follows with {_at_end(study, last[others[0]])}"
    elif study.reference in last:
        text += f"; the reference {study.reference} is at {_at_end(study, last[study.reference])}"
    return f"{text}."


def _end(study: Summary, curve: Curve) -> str:
    """Return the time of a curve's last evaluation."""
    at = curve.times[study.clock][-1]
    return "the last evaluation" if at is None else point(study.clock, at)


def _at_end(study: Summary, curve: Curve) -> str:
    value = curve.value[-1]
    low, high = (curve.low[-1], curve.high[-1]) if curve.low and curve.high else (None, None)
    text = share(study.metric, value, low, high)
    return text if low is None else f"{text} ({share_interval(study.metric, low, high)})"


def _reading(study: Summary) -> str:
    own = [f"{schedule.name} on {schedule.loss}" for schedule in study.schedules if schedule.loss is not None]
    also = f" Losses are those trained on, and {listed(own)} cannot be compared in them." if own else ""
    return _bands(study) + also


def _bands(study: Summary) -> str:
    if runs_each(study) <= 1:
        return "Each line is a single run, so there are no bands. Dotted lines are the targets."
    return (
        f"Lines are means over up to {counted(runs_each(study), 'confirm seed')}, bands their pointwise "
        f"{percent(study.confidence)} intervals. A run that diverged is left out from that {study.moment} "
        "on; the table gives the number of runs in each mean. Dotted lines are the targets."
    )
