"""Figures drawn by matplotlib into PNG files, for ``report.md`` on a code host.

The object interface and the Agg canvas only: no window, no global figure list. A PNG carries no date and
no software version, so that the same figure gives the same bytes.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lrstudy.report.figures.model import (
    TIMES,
    Axis,
    Coordinates,
    Dots,
    Estimate,
    Figure,
    Line,
    Panel,
    Points,
    Rule,
    Zone,
)
from lrstudy.report.style import INK, Look, band_strength
from lrstudy.report.text import trim

_DPI: Final = 144
_PANEL: Final = (5.2, 3.3)  # inches, width and height of a panel
_STACKED: Final = (9.0, 2.3)
_DASHES: Final[dict[str, Any]] = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1.4, 1.6)),
    "dashdot": (0, (5, 2, 1.2, 2)),
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 3, 1.2, 3)),
}
_MARKERS: Final = {
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
_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": "#333333",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "text.parse_math": False,  # a schedule's name may hold dollar signs
    "axes.unicode_minus": True,
    "lines.linewidth": 1.7,
    "path.simplify_threshold": 0.1,
}
_GREY: Final = "#8a8a8a"


def draw_png(figure: Figure, names: Sequence[str], looks: Sequence[Look]) -> bytes:
    """A figure as a PNG file's bytes; ``names`` and ``looks`` are the schedules', by index.

    Raises ``ValueError`` for a figure without panels: there is nothing to draw.
    """
    if not figure.panels:
        raise ValueError(f"figure {figure.key!r} has no panels")
    with warnings.catch_warnings(), mpl.rc_context(_SETTINGS):
        # A name in a script that the bundled font lacks is drawn as boxes; the table beside has it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas, axes = _grid(figure)
        for panel, ax in zip(figure.panels, axes, strict=True):
            _draw_panel(ax, panel, looks, time=figure.times[0] if figure.times else None)
        for ax in axes[:-1] if figure.stacked else ():
            ax.set_xlabel("")  # the lowest panel names the common axis
        _legend(canvas, figure, names, looks)
        FigureCanvasAgg(canvas)
        file = io.BytesIO()
        canvas.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def _grid(figure: Figure) -> tuple[Canvas, list[Axes]]:
    count = len(figure.panels)
    columns = 1 if figure.stacked or count == 1 else 2
    rows = math.ceil(count / columns)
    width, height = _STACKED if figure.stacked else _PANEL
    if count == 1:
        width = 8.0
    rows_of_names = max(len(panel.y.categories) for panel in figure.panels)
    if rows_of_names:
        height = 0.75 + 0.32 * rows_of_names
    canvas = Canvas(figsize=(width * columns, height * rows + 0.4), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False, sharex="col" if figure.stacked else "none")
    axes = [ax for line in grid for ax in line]
    for spare in axes[count:]:
        spare.remove()
    return canvas, axes[:count]


def _legend(canvas: Canvas, figure: Figure, names: Sequence[str], looks: Sequence[Look]) -> None:
    shown = sorted(
        {
            mark.schedule
            for panel in figure.panels
            for mark in panel.marks
            if not isinstance(mark, Rule | Zone)
        }
    )
    if not shown or any(panel.y.categories for panel in figure.panels):
        return  # rows of a forest plot carry their names
    handles = [
        Line2D(
            [],
            [],
            color=looks[index].light,
            linestyle=_DASHES[looks[index].dash],
            marker=_MARKERS[looks[index].marker],
            markersize=5,
            # A leading underscore would hide the entry: matplotlib's own convention for labels.
            label=f"\u200b{_short(names[index])}" if names[index].startswith("_") else _short(names[index]),
        )
        for index in shown
    ]
    canvas.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 5), frameon=False)


def _draw_panel(ax: Axes, panel: Panel, looks: Sequence[Look], time: str | None) -> None:
    ax.set_title(_short(panel.title, 70), loc="left")
    rules = [mark for mark in panel.marks if isinstance(mark, Rule) and mark.label and mark.axis == "y"]
    for mark in panel.marks:
        if isinstance(mark, Rule):
            _draw_rule(ax, mark, place=rules.index(mark) if mark in rules else 0)
        else:
            _draw_mark(ax, mark, panel, looks, time)
    _scale(ax, "x", panel.x, time)
    _scale(ax, "y", panel.y, time)


def _draw_mark(
    ax: Axes, mark: Line | Dots | Estimate | Zone, panel: Panel, looks: Sequence[Look], time: str | None
) -> None:
    match mark:
        case Zone():
            span = ax.axvspan if mark.axis == "x" else ax.axhspan
            span(mark.low, mark.high, color="#b8b8b8", alpha=0.28, linewidth=0)
        case Line():
            bands = sum(isinstance(one, Line) and bool(_points(one.points, time).low) for one in panel.marks)
            _draw_line(ax, mark, _points(mark.points, time), looks[mark.schedule], band_strength(bands))
        case Dots():
            points = _points(mark.points, time)
            look = looks[mark.schedule]
            marker = "x" if mark.crossed else _MARKERS[look.marker]
            ax.scatter(
                _numbers(points.x),
                _numbers(points.y),
                s=22,
                marker=marker,
                color=look.light,
                alpha=0.75,
                linewidths=1.2 if mark.crossed else 0,
            )
        case Estimate():
            _draw_estimate(ax, mark, panel, looks[mark.schedule])


def _draw_rule(ax: Axes, rule: Rule, place: int) -> None:
    """A rule, its words at the left end, where rising curves leave room; close ones are put side by side."""
    draw = ax.axvline if rule.axis == "x" else ax.axhline
    draw(rule.value, color=_GREY, linewidth=1, linestyle=(0, (2, 2)))
    if rule.label and rule.axis == "y":
        ax.annotate(
            rule.label,
            (0.01 + 0.17 * place, rule.value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            va="bottom",
            fontsize=7.5,
            color="#666666",
        )


def _draw_line(ax: Axes, line: Line, points: Points, look: Look, strength: float) -> None:
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
        linestyle=_DASHES[look.dash],
        linewidth=0.8 if line.dim else 1.8,
        alpha=0.45 if line.dim else 1.0,
        drawstyle=style,
        # A few markers on each curve, for readers who cannot go by colour; a lone point needs one to be seen.
        marker=None if line.dim else _MARKERS[look.marker],
        markevery=max(1, len(points.x) // 8),
        markersize=4.5,
    )


def _draw_estimate(ax: Axes, mark: Estimate, panel: Panel, look: Look) -> None:
    place = panel.y.categories.index(mark.row)
    if mark.value is None:
        ax.annotate(
            mark.text,
            (0.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color="#555555",
        )
        return
    low = mark.value if mark.low is None else mark.low
    high = mark.value if mark.high is None else mark.high
    if mark.wide is not None:
        ax.plot(mark.wide, [place, place], color=look.light, linewidth=0.9)
    ax.plot([low, high], [place, place], color=look.light, linewidth=2.6, solid_capstyle="butt")
    ax.plot([mark.value], [place], marker=_MARKERS[look.marker], color=look.light, markersize=7)
    ax.annotate(
        mark.text,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8,
        color=INK,
        annotation_clip=False,
    )


def _scale(ax: Axes, which: str, axis: Axis, time: str | None) -> None:
    spine = ax.xaxis if which == "x" else ax.yaxis
    title = TIMES[time] if axis.time and time else axis.title
    spine.set_label_text(title)
    if axis.categories:
        spine.set_ticks(range(len(axis.categories)), labels=[_short(name) for name in axis.categories])
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


def _short(text: str, limit: int = 34) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
