"""Figures of the report as figures of plotly in Python: for a notebook, where the page's script is not."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrstudy.report.figures.model import (
    TIMES,
    Axis,
    Dots,
    Estimate,
    Figure,
    Line,
    Panel,
    Points,
    Rule,
    Values,
    Zone,
)
from lrstudy.report.plotly_data import drawn
from lrstudy.report.style import Look, band_strength

_PANEL_HEIGHT: Final = 340  # pixels
_ROW_HEIGHT: Final = 36
_AROUND_ROWS: Final = 70
_SOFT: Final = "#666666"
_GAP: Final = 90  # pixels between panels
_TITLE_WIDTH: Final = 100  # letters


def plotly_figure(figure: Figure, names: Sequence[str], looks: Sequence[Look], time: str) -> Any:
    """Return a figure as ``plotly.graph_objects.Figure``, its panels below one another.

    ``time`` is the way to count time in it, one of its ``times``.
    """
    heights = [_height(panel) for panel in figure.panels]
    total = sum(heights) + _GAP * (len(heights) - 1)
    made = make_subplots(
        rows=len(heights),
        cols=1,
        row_heights=heights,
        vertical_spacing=_GAP / total if len(heights) > 1 else 0,
        subplot_titles=[_plain(panel.title) for panel in figure.panels],
    )
    named: set[int] = set()
    for row, panel in enumerate(figure.panels, start=1):
        bands = sum(isinstance(mark, Line) and bool(_points(mark, time).low) for mark in panel.marks)
        for mark in panel.marks:
            if isinstance(mark, Rule | Zone):
                continue
            look = looks[mark.schedule]
            traces = _traces(mark, look, panel, time, band_strength(bands))
            for trace in traces:
                shown = trace.pop("key", False) and mark.schedule not in named
                named |= {mark.schedule} if shown else set()
                group = {"legendgroup": str(mark.schedule), "name": _plain(names[mark.schedule])}
                made.add_trace(go.Scatter(trace | group | {"showlegend": shown}), row=row, col=1)
        for across in (mark for mark in panel.marks if isinstance(mark, Rule | Zone)):
            _across(made, across, row)  # plotly draws them only in panels that have traces
        made.update_xaxes(_axis(panel.x, time), row=row, col=1)
        made.update_yaxes(_axis(panel.y, time), row=row, col=1)
    lines = textwrap.wrap(figure.takeaway, _TITLE_WIDTH)
    title = {"text": "<br>".join(map(_plain, lines)), "font": {"size": 14}, "x": 0, "xref": "paper"}
    above = 60 + 20 * len(lines)
    return made.update_layout(
        title=title,
        template="plotly_white",
        hovermode="closest",
        height=total + above + 50,
        margin={"t": above, "r": 20},
    )


def _height(panel: Panel) -> int:
    rows = len(panel.y.categories)
    return _AROUND_ROWS + _ROW_HEIGHT * rows if rows else _PANEL_HEIGHT


def _plain(text: str) -> str:
    """Return text as plotly shows it: it reads a few tags and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _points(mark: Line | Dots, time: str) -> Points:
    return mark.points[time] if time in mark.points else next(iter(mark.points.values()))


def _numbers(values: Values) -> list[float | None]:
    return [drawn(value) for value in values]


def _traces(
    mark: Line | Dots | Estimate, look: Look, panel: Panel, time: str, strength: float
) -> Iterator[dict[str, Any]]:
    """Yield a mark's traces; ``key`` marks the one that the legend shows."""
    if isinstance(mark, Estimate):
        yield from _estimate(mark, look, panel)
        return
    points = _points(mark, time)
    if isinstance(mark, Dots):
        symbol = "x-thin" if mark.crossed else look.marker
        thin = {"line": {"color": look.light, "width": 2 if mark.crossed else 0}}
        marker = {"color": look.light, "symbol": symbol, "size": 8, "opacity": 0.8} | thin
        yield _scatter(points, "markers", panel, mark.label, mark.labels) | {"marker": marker, "key": True}
        return
    if points.low and not mark.dim:
        yield from _bands(points, look, strength, step=mark.step)
    line = {"color": look.light, "dash": look.dash, "width": 1 if mark.dim else 2.2}
    line["shape"] = "hv" if mark.step else "linear"
    marker = {"color": look.light, "symbol": look.marker, "size": 7, "maxdisplayed": 8}
    mode = "lines" if mark.dim else "lines+markers"
    style = {"line": line, "marker": marker, "opacity": 0.45 if mark.dim else 1}
    yield _scatter(points, mode, panel, mark.label) | style | {"key": not mark.dim}


def _scatter(
    points: Points, mode: str, panel: Panel, label: str, labels: Sequence[str] = ()
) -> dict[str, Any]:
    x, y = _numbers(points.x), _numbers(points.y)
    words = [_plain(f"{label}: {one}" if one else label) for one in (labels or [""] * len(x))]
    share = ":.2%" if panel.y.percent else ""
    template = f"%{{text}}<br>%{{x}}, %{{y{share}}}<extra></extra>"
    return {"mode": mode, "x": x, "y": y, "text": words, "hovertemplate": template}


def _bands(points: Points, look: Look, strength: float, *, step: bool) -> Iterator[dict[str, Any]]:
    """Yield the outline of each stretch of a band that has no gap."""
    fill = f"rgba({','.join(str(int(look.light[at : at + 2], 16)) for at in (1, 3, 5))},{strength:.3f})"
    ends = [*zip(_numbers(points.x), _numbers(points.low), _numbers(points.high), strict=True), (None,) * 3]
    stretch: list[tuple[float, float, float]] = []
    for x, low, high in ends:
        if x is not None and low is not None and high is not None:
            if step and stretch:
                stretch.append((x, *stretch[-1][1:]))
            stretch.append((x, low, high))
        elif stretch:
            back = stretch[::-1]
            yield {
                "mode": "lines",
                "x": [one[0] for one in (*stretch, *back)],
                "y": [*(one[2] for one in stretch), *(one[1] for one in back)],
                "fill": "toself",
                "fillcolor": fill,
                "line": {"width": 0},
                "hoverinfo": "skip",
            }
            stretch = []


def _estimate(mark: Estimate, look: Look, panel: Panel) -> Iterator[dict[str, Any]]:
    if mark.value is None or not math.isfinite(mark.value):
        return
    row, hover = mark.row, {"hoverinfo": "text", "hovertext": _plain(f"{mark.row}: {mark.text}")}
    open_end = (mark.low is None) != (mark.high is None)
    least, most = panel.x.range if panel.x.range and open_end else (mark.value, mark.value)
    ends = [least if mark.low is None else mark.low, most if mark.high is None else mark.high]
    if mark.wide:
        thin = {"color": look.light, "width": 1}
        yield {"mode": "lines", "x": list(mark.wide), "y": [row] * 2, "line": thin, "hoverinfo": "skip"}
    yield {"mode": "lines", "x": ends, "y": [row] * 2, "line": {"color": look.light, "width": 4}} | hover
    marker = {"color": look.light, "symbol": look.marker, "size": 11}
    yield {"mode": "markers", "x": [mark.value], "y": [row], "marker": marker, "key": True} | hover
    if open_end:
        at, symbol = (ends[0], "triangle-left") if mark.low is None else (ends[1], "triangle-right")
        arrow = {"color": look.light, "size": 10, "symbol": symbol}
        yield {"mode": "markers", "x": [at], "y": [row], "marker": arrow, "hoverinfo": "skip"}


def _across(made: Any, mark: Rule | Zone, row: int) -> None:
    """Draw a line or a shaded range across a panel."""
    words = {"text": _plain(mark.label), "font": {"size": 11, "color": _SOFT}, "showarrow": False}
    words = {"annotation": words} if mark.label else {}
    across = made.add_vline if mark.axis == "x" else made.add_hline
    if isinstance(mark, Rule):
        across(mark.value, row=row, col=1, line={"color": _SOFT, "width": 1.2, "dash": "dot"}, **words)
        return
    zone = made.add_vrect if mark.axis == "x" else made.add_hrect
    zone(mark.low, mark.high, row=row, col=1, fillcolor=_SOFT, opacity=0.16, line_width=0, **words)


def _axis(axis: Axis, time: str) -> dict[str, Any]:
    if axis.categories:
        return {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(axis.categories),
            "range": [len(axis.categories) - 0.5, -0.5],
            "automargin": True,
        }
    title = TIMES[time] if axis.time and time in TIMES else axis.title
    layout: dict[str, Any] = {"title": {"text": _plain(title)}, "type": "log" if axis.log else "linear"}
    layout |= {"tickformat": "~%"} if axis.percent else {}
    if axis.log and axis.range is None:  # often over several decades: 1, 2 and 5 of each
        layout["dtick"] = "D2"
    if axis.range is not None:
        layout["range"] = [math.log10(end) for end in axis.range] if axis.log else list(axis.range)
    elif axis.time and not axis.log:
        layout["rangemode"] = "tozero"
    return layout
