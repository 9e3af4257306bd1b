"""The panels of a figure drawn by matplotlib: lines with bands, dots, rows of estimates, rules and axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lrstudy.report.figures.model import (
    Axis,
    Coordinates,
    Dots,
    Estimate,
    Line,
    Panel,
    Points,
    Rule,
    Zone,
    time_title,
)
from lrstudy.report.style import INK, Look, band_strength
from lrstudy.report.text import trim

DASHES: Final[dict[str, Any]] = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1.4, 1.6)),
    "dashdot": (0, (5, 2, 1.2, 2)),
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 3, 1.2, 3)),
}
MARKERS: Final = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "cross": "P",
    "x": "X",
    "star": "*",
    "pentagon": "p",
}
_GREY: Final = "#8a8a8a"


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of what is drawn: text in points, and a factor for lines and markers."""

    text: float
    marks: float
    title: int  # characters of a panel's title


def draw_panel(ax: Axes, panel: Panel, looks: Sequence[Look], time: str | None, scale: Scale) -> None:
    """Draw one panel into its axes; ``time`` is the way to count time where the panel has several."""
    ax.set_title(shortened(panel.title, scale.title), loc="left")
    rules = [mark for mark in panel.marks if isinstance(mark, Rule) and mark.label and mark.axis == "y"]
    for mark in panel.marks:
        if isinstance(mark, Rule):
            _draw_rule(ax, mark, rules.index(mark) if mark in rules else 0, scale)
        else:
            _draw_mark(ax, mark, panel, looks, time, scale)
    _scale(ax, "x", panel.x, time)
    _scale(ax, "y", panel.y, time)


def _draw_mark(
    ax: Axes,
    mark: Line | Dots | Estimate | Zone,
    panel: Panel,
    looks: Sequence[Look],
    time: str | None,
    scale: Scale,
) -> None:
    match mark:
        case Zone():
            span = ax.axvspan if mark.axis == "x" else ax.axhspan
            span(mark.low, mark.high, color="#b8b8b8", alpha=0.28, linewidth=0)
        case Line():
            bands = sum(isinstance(one, Line) and bool(_points(one.points, time).low) for one in panel.marks)
            points = _points(mark.points, time)
            _draw_line(ax, mark, points, looks[mark.schedule], band_strength(bands), scale)
        case Dots():
            points = _points(mark.points, time)
            look = looks[mark.schedule]
            marker = "x" if mark.crossed else MARKERS[look.marker]
            ax.scatter(
                _numbers(points.x),
                _numbers(points.y),
                s=22 * scale.marks**2,
                marker=marker,
                color=look.light,
                alpha=0.75,
                linewidths=1.2 * scale.marks if mark.crossed else 0,
            )
        case Estimate():
            _draw_estimate(ax, mark, panel, looks[mark.schedule], scale)


def _draw_rule(ax: Axes, rule: Rule, place: int, scale: Scale) -> None:
    """A rule, its words at the left end, where rising curves leave room; close ones are put side by side."""
    draw = ax.axvline if rule.axis == "x" else ax.axhline
    draw(rule.value, color=_GREY, linewidth=scale.marks, linestyle=(0, (2, 2)))
    if rule.label and rule.axis == "y":
        ax.annotate(
            rule.label,
            (0.01 + 0.17 * place, rule.value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            va="bottom",
            fontsize=0.83 * scale.text,
            color="#666666",
        )


def _draw_line(ax: Axes, line: Line, points: Points, look: Look, strength: float, scale: Scale) -> None:
    style = "steps-post" if line.step else "default"
    x = _numbers(points.x)
    if any(value is not None for value in points.low):
        low, high = _numbers(points.low), _numbers(points.high)
        step: Literal["post"] | None = "post" if line.step else None
        ax.fill_between(x, low, high, color=look.light, alpha=strength, linewidth=0, step=step)
    ax.plot(
        x,
        _numbers(points.y),
        color=look.light,
        linestyle=DASHES[look.dash],
        linewidth=scale.marks * (0.8 if line.dim else 1.8),
        alpha=0.45 if line.dim else 1.0,
        drawstyle=style,
        # A few markers on each curve, for readers who cannot go by colour; a lone point needs one to be seen.
        marker=None if line.dim else MARKERS[look.marker],
        markevery=max(1, len(points.x) // 8),
        markersize=4.5 * scale.marks,
    )


def _draw_estimate(ax: Axes, mark: Estimate, panel: Panel, look: Look, scale: Scale) -> None:
    place = panel.y.categories.index(mark.row)
    if mark.value is None:
        ax.annotate(
            mark.text,
            (0.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=0.89 * scale.text,
            color="#555555",
        )
        return
    low = mark.value if mark.low is None else mark.low
    high = mark.value if mark.high is None else mark.high
    if mark.wide is not None:
        ax.plot(mark.wide, [place, place], color=look.light, linewidth=0.9 * scale.marks)
    ax.plot([low, high], [place, place], color=look.light, linewidth=2.6 * scale.marks, solid_capstyle="butt")
    ax.plot([mark.value], [place], marker=MARKERS[look.marker], color=look.light, markersize=7 * scale.marks)
    ax.annotate(
        mark.text,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=0.89 * scale.text,
        color=INK,
        annotation_clip=False,
    )


def _scale(ax: Axes, which: str, axis: Axis, time: str | None) -> None:
    spine = ax.xaxis if which == "x" else ax.yaxis
    title = time_title(time) if axis.time and time else axis.title
    spine.set_label_text(title)
    if axis.categories:
        spine.set_ticks(range(len(axis.categories)), labels=[shortened(name) for name in axis.categories])
        ax.set_ylim(len(axis.categories) - 0.5, -0.5)
        ax.grid(visible=False, axis="y")
        return
    if axis.log:
        (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    if axis.range:
        (ax.set_xlim if which == "x" else ax.set_ylim)(*axis.range)
    if axis.percent:
        spine.set_major_formatter(FuncFormatter(lambda value, _: f"{trim(100 * value, 4)}%"))
    elif axis.log:
        low, high = ax.get_xlim() if which == "x" else ax.get_ylim()
        spread = high / low if low > 0 else 1.0
        if spread < 4.5:
            spine.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        else:
            spine.set_major_locator(LogLocator(subs=(1, 2, 5) if spread < 200 else (1,), numticks=12))
        spine.set_major_formatter(FuncFormatter(lambda value, _: trim(value, 4)))
        spine.set_minor_formatter(NullFormatter())
    elif axis.time and time == "epochs":
        spine.set_major_locator(MaxNLocator(integer=True))


def _points(coordinates: Coordinates, time: str | None) -> Points:
    if time is not None and time in coordinates:
        return coordinates[time]
    return next(iter(coordinates.values()))


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def shortened(text: str, limit: int = 34) -> str:
    """Return a text of at most so many characters on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
