"""Figures drawn by matplotlib into files: PNG for a code host, SVG and PDF for a paper.

The object interface only: no window, no global figure list. A file carries no date and no software
version, so that the same figure gives the same bytes.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from lrstudy.report.figures.model import Figure, Rule, Zone
from lrstudy.report.matplotlib_panels import DASHES, MARKERS, Scale, draw_panel, shortened
from lrstudy.report.style import Look

_DPI: Final = 144
_MM: Final = 1 / 25.4  # inches
_NARROW: Final = 4.5  # inches: below it panels are one above the other
_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": "#333333",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "text.parse_math": False,  # a schedule's name may hold dollar signs
    "axes.unicode_minus": True,
    "path.simplify_threshold": 0.1,
    "pdf.fonttype": 42,  # fonts embedded as TrueType: journals refuse Type 3
    "svg.fonttype": "path",  # letters as outlines: they need no font on the reader's machine
    "svg.hashsalt": "lrstudy",
}
_DATES: Final[dict[str, dict[str, Any]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True, slots=True)
class Paper:
    """The width of a printed figure in millimetres: 85 is a column of a page with two."""

    width: float = 85.0


def draw_png(figure: Figure, names: Sequence[str], looks: Sequence[Look]) -> bytes:
    """Return a figure as a PNG file's bytes; ``names`` and ``looks`` are the schedules', by index.

    Raises ``ValueError`` for a figure without panels: there is nothing to draw.
    """
    return _saved(figure, names, looks, "png", None)


def draw_printed(
    figure: Figure, names: Sequence[str], looks: Sequence[Look], form: str, paper: Paper
) -> bytes:
    """Return a figure as an SVG or PDF file's bytes (``form``), as wide as the paper's column.

    Raises ``ValueError`` for a figure without panels.
    """
    return _saved(figure, names, looks, form, paper)


def draw(figure: Figure, names: Sequence[str], looks: Sequence[Look], paper: Paper | None = None) -> Canvas:
    """Return a figure as a figure of matplotlib, for a screen or as wide as a paper's column."""
    if not figure.panels:
        raise ValueError(f"figure {figure.key!r} has no panels")
    scale = Scale(9.0, 1.0, 70) if paper is None else Scale(7.0, 0.65, round(paper.width * 0.55))
    with _style(scale):
        canvas, axes = _grid(figure, paper)
        for panel, ax in zip(figure.panels, axes, strict=True):
            draw_panel(ax, panel, looks, figure.times[0] if figure.times else None, scale)
        for ax in axes[:-1] if figure.stacked else ():
            ax.set_xlabel("")  # the lowest panel names the common axis
        _legend(canvas, figure, names, looks, scale)
        FigureCanvasAgg(canvas)
    return canvas


def _saved(
    figure: Figure, names: Sequence[str], looks: Sequence[Look], form: str, paper: Paper | None
) -> bytes:
    canvas = draw(figure, names, looks, paper)
    file = io.BytesIO()
    with _style():
        canvas.savefig(file, format=form, dpi=_DPI, metadata=_DATES[form])
    return file.getvalue()


@contextmanager
def _style(scale: Scale | None = None) -> Iterator[None]:
    """Set matplotlib's settings for the time of a drawing."""
    sizes: dict[Any, Any] = (
        {}
        if scale is None
        else {
            "font.size": scale.text,
            "axes.titlesize": scale.text + 1,
            "grid.linewidth": 0.7 * scale.marks,
            "axes.linewidth": 0.8 * scale.marks,
            "lines.linewidth": 1.7 * scale.marks,
        }
    )
    with warnings.catch_warnings(), mpl.rc_context({**_SETTINGS, **sizes}):
        # A name in a script that the bundled font lacks is drawn as boxes; the table beside has it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _grid(figure: Figure, paper: Paper | None) -> tuple[Canvas, list[Axes]]:
    count = len(figure.panels)
    if paper is None:
        columns = 1 if figure.stacked or count == 1 else 2
        width, height = (9.0, 2.3) if figure.stacked else (5.2, 3.3)
        width = 8.0 if count == 1 else width
        row, above, legend = 0.32, 0.75, 0.4
    else:
        inches = paper.width * _MM
        columns = 1 if figure.stacked or count == 1 or inches < _NARROW else 2
        width = inches / columns
        height = min(width, 3.4) * (0.45 if figure.stacked else 0.62)
        row, above, legend = 0.2, 0.55, 0.3
    rows_of_names = max(len(panel.y.categories) for panel in figure.panels)
    if rows_of_names:
        height = above + row * rows_of_names
    rows = math.ceil(count / columns)
    canvas = Canvas(figsize=(width * columns, height * rows + legend), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False, sharex="col" if figure.stacked else "none")
    axes = [ax for line in grid for ax in line]
    for spare in axes[count:]:
        spare.remove()
    return canvas, axes[:count]


def _legend(
    canvas: Canvas, figure: Figure, names: Sequence[str], looks: Sequence[Look], scale: Scale
) -> None:
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
    words = [shortened(names[index]) for index in shown]
    handles = [
        Line2D(
            [],
            [],
            color=looks[index].light,
            linestyle=DASHES[looks[index].dash],
            marker=MARKERS[looks[index].marker],
            markersize=5 * scale.marks,
            # A leading underscore would hide the entry: matplotlib's own convention for labels.
            label=f"\u200b{word}" if word.startswith("_") else word,
        )
        for index, word in zip(shown, words, strict=True)
    ]
    # A key is as wide as its longest name and about six letters for the line.
    letters = canvas.get_figwidth() * 72 / (0.62 * scale.text)
    most = 5 if scale.marks == 1.0 else max(1, int(letters / (max(map(len, words)) + 6)))
    canvas.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), most), frameon=False)
