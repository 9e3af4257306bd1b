"""A study in a notebook: its verdict as a table, its figures as pictures, its rows as data frames."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lrstudy.analysis import analyse
from lrstudy.analysis.summary import Summary
from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.report.figures.curves import learning_curves
from lrstudy.report.figures.ecdf import attainment
from lrstudy.report.figures.levels import speedup_by_target
from lrstudy.report.figures.model import Figure
from lrstudy.report.figures.rates import learning_rates
from lrstudy.report.figures.sensitivity import rate_sensitivity
from lrstudy.report.figures.speedup import speedup
from lrstudy.report.figures.time_to_target import time_to_target
from lrstudy.report.figures.tuning import tuning_curves
from lrstudy.report.matplotlib_renderer import Paper, draw, draw_png, draw_printed
from lrstudy.report.page_model import Cell, NumberTable
from lrstudy.report.sections.page import study_page
from lrstudy.report.style import looks
from lrstudy.report.writing import COLUMN_WIDTH, PICTURES
from lrstudy.store import Location, Store, open_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure as Interactive

_CELL: Final = "padding:.3em .9em .3em 0;text-align:{};vertical-align:top"


def open_study(
    run: str | PathLike[str] | Location,
    *,
    targets: Sequence[float] | None = None,
    clock: str | None = None,
    arrival: str | None = None,
) -> Study:
    """Analyse a run, in a folder or on S3, to look at it in a notebook.

    ``targets``, ``clock`` and ``arrival`` replace the study's own, as the options of ``lrstudy report``
    do. Raises ``InputError`` for a run that cannot be read or analysed that way.
    """
    store = open_store(run)
    return Study(store, analyse(store, targets=targets, clock=clock, arrival=arrival))


class Study:
    """A study with its verdicts: ``summary`` has every number, ``store`` every row, ``plot`` the figures.

    As the last value of a notebook's cell it shows the ruling and the tables of verdicts.
    """

    def __init__(self, store: Store, summary: Summary) -> None:
        self.store = store
        self.summary = summary
        self.plot = Plots(summary)

    @property
    def headline(self) -> str:
        """The ruling at the primary target, in one sentence."""
        return study_page(self.summary).headline

    def tables(self) -> dict[str, NumberTable]:
        """Return the report's tables by their names (``verdicts``, ``winners``, …)."""
        return study_page(self.summary).tables

    def __repr__(self) -> str:
        return f"<study {self.summary.name}: {self.headline}>"

    def _repr_html_(self) -> str:
        page = study_page(self.summary)
        parts = [f"<p><b>{html.escape(page.headline)}</b></p>"]
        parts += [f"<p>{html.escape(sentence)}</p>" for sentence in page.also[:1]]
        parts += map(_table_html, page.sections[0].tables)
        return "\n".join(parts)


class Plots:
    """The figures of a report, each a method that returns a ``Picture``."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def learning_curves(self) -> Picture:
        """Draw the metric over the training: the mean of confirm runs, with its interval."""
        return self._picture(learning_curves)

    def time_to_target(self) -> Picture:
        """Draw the share of runs that reached each target, over time."""
        return self._picture(time_to_target)

    def speedup(self) -> Picture:
        """Draw each schedule's speedup over the reference, with its interval."""
        return self._picture(speedup)

    def speedup_by_target(self) -> Picture:
        """Draw the speedup against the level of the target."""
        return self._picture(speedup_by_target)

    def attainment(self) -> Picture:
        """Draw the share of runs and targets reached over time."""
        return self._picture(attainment)

    def learning_rates(self) -> Picture:
        """Draw the rate of each schedule over the training."""
        return self._picture(learning_rates)

    def rate_sensitivity(self) -> Picture:
        """Draw the objective of the tuning trials against the searched rate."""
        return self._picture(rate_sensitivity)

    def tuning_curves(self) -> Picture:
        """Draw the best objective over the trials of a tuning."""
        return self._picture(tuning_curves)

    def _picture(self, make: Callable[[Summary], Figure]) -> Picture:
        return Picture(make(self._summary), self._summary.names, self._summary.reference)


class Picture:
    """A figure: ``data`` is what it shows, with its takeaway and table; a notebook shows it as a PNG."""

    def __init__(self, data: Figure, names: Sequence[str], reference: str | None) -> None:
        self.data = data
        self._names = names
        self._looks = looks(names, reference)

    def matplotlib(self, width: float | None = None) -> Canvas:
        """Return it as a figure of matplotlib; ``width`` in millimetres is that of a paper's column."""
        return draw(self.data, self._names, self._looks, None if width is None else Paper(width))

    def plotly(self, time: str | None = None) -> Interactive:
        """Return it as a figure of plotly; ``time`` counts time in another way (``steps``, ``seconds``, …).

        Raises ``InputError`` for a figure that has nothing to draw, and for a way that it does not have.
        """
        if not self.data.panels:
            raise InputError(Problem(self.data.key, "", "has nothing to draw", self.data.takeaway))
        times = self.data.times
        if time is not None and time not in times:
            remedy = did_you_mean(time, times) if times else "Leave time out"
            raise InputError(Problem(self.data.key, "time", "is no way to count time in it", remedy, time))
        from lrstudy.report.plotly_figure import plotly_figure

        shown = time or next(iter(times), "")
        return plotly_figure(self.data, self._names, self._looks, shown)

    def save(self, path: str | PathLike[str], width: float = COLUMN_WIDTH) -> Path:
        """Write it as PNG, SVG or PDF, by the path's suffix; SVG and PDF are ``width`` millimetres wide."""
        place = Path(path)
        form = place.suffix.lower().removeprefix(".")
        if form == "png":
            content = draw_png(self.data, self._names, self._looks)
        elif form in PICTURES:
            content = draw_printed(self.data, self._names, self._looks, form, Paper(width))
        else:
            known = ("png", *PICTURES)
            raise InputError(
                Problem(str(place), "", "has no suffix of a picture", did_you_mean(form, known), form)
            )
        place.write_bytes(content)
        return place

    def __repr__(self) -> str:
        return f"<figure {self.data.key}: {self.data.takeaway}>"

    def _repr_png_(self) -> bytes | None:
        return draw_png(self.data, self._names, self._looks) if self.data.panels else None

    def _repr_markdown_(self) -> str | None:
        return None if self.data.panels else self.data.takeaway


def _table_html(table: NumberTable) -> str:
    """Return a table as HTML that needs no style of the page around it."""
    align = ["right" if column.number else "left" for column in table.columns]
    titles = "".join(
        f'<th style="{_CELL.format(side)}">{html.escape(column.title)}</th>'
        for column, side in zip(table.columns, align, strict=True)
    )
    rows = [f"<tr>{titles}</tr>"]
    for group in table.groups:
        if group.title:
            style = _CELL.format("left")
            rows.append(
                f'<tr><th colspan="{len(align)}" style="{style}">{html.escape(group.title)}</th></tr>'
            )
        for row in group.rows:
            cells = (
                f'<td style="{_CELL.format(side)}">{_cell_html(cell)}</td>'
                for cell, side in zip(row, align, strict=True)
            )
            rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="border-collapse:collapse">{"".join(rows)}</table>'


def _cell_html(cell: Cell) -> str:
    text = html.escape(cell.text)
    return f"{text}<br><small>{html.escape(cell.range)}</small>" if cell.range else text
