"""From a Summary to the files of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple

from lrstudy.analysis.summary import Summary
from lrstudy.report import html
from lrstudy.report.comparison import Comparison
from lrstudy.report.files import check_folder, write_files
from lrstudy.report.latex import latex
from lrstudy.report.markdown import markdown
from lrstudy.report.matplotlib_renderer import Paper, draw_png, draw_printed
from lrstudy.report.page_model import Page
from lrstudy.report.plotly_data import csv_text, payload
from lrstudy.report.sections.comparison_tables import comparison_page
from lrstudy.report.sections.page import study_page
from lrstudy.report.style import looks


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Paths of a report's files; ``figures`` and ``tables`` in the order of the page."""

    html: Path
    markdown: Path
    summary: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


PICTURES: Final = ("svg", "pdf")
FORMATS: Final = (*PICTURES, "tex")
COLUMN_WIDTH: Final = 85.0  # millimetres: a column of a page that has two


@dataclass(frozen=True, slots=True)
class Printed:
    """Files for a paper beside the report: ``formats`` of ``FORMATS``, figures ``width`` millimetres wide."""

    formats: tuple[str, ...] = ()
    width: float = COLUMN_WIDTH


class _Names(NamedTuple):
    """File names of a page."""

    html: str
    markdown: str
    json: str


class _Drawn(NamedTuple):
    """Schedules in the order of a page, their reference, and the further files wanted."""

    names: Sequence[str]
    reference: str | None
    printed: Printed


def write_report(
    summary: Summary,
    directory: str | PathLike[str],
    *,
    made_at: datetime | None = None,
    printed: Printed | None = None,
) -> ReportPaths:
    """Write a study's report into a folder: page, Markdown with PNG figures, ``summary.json``, CSV tables.

    ``printed`` adds files for a paper. The same summary gives the same bytes; ``made_at`` (aware) is the
    only date, in the last line of page and Markdown. Raises ``InputError`` when the folder cannot be written.
    """
    files = _Names("report.html", "report.md", "summary.json")
    page = study_page(summary, made_at)
    drawn = _Drawn(summary.names, summary.reference, printed or Printed())
    return _write_page(page, drawn, summary.to_json(), Path(directory), files)


def write_comparison(
    comparison: Comparison, directory: str | PathLike[str], *, made_at: datetime | None = None
) -> ReportPaths:
    """Write the comparison of several studies into a folder, as ``write_report`` does for one.

    The files are called ``comparison.html``, ``comparison.md`` and ``comparison.json``.
    """
    page = comparison_page(comparison, made_at)
    files = _Names("comparison.html", "comparison.md", "comparison.json")
    drawn = _Drawn(comparison.schedules, comparison.reference, Printed())
    return _write_page(page, drawn, comparison.to_json(), Path(directory), files)


def _write_page(page: Page, drawn: _Drawn, json: str, directory: Path, called: _Names) -> ReportPaths:
    check_folder(directory)
    names, styles = drawn.names, looks(drawn.names, drawn.reference)
    content = page_html(page, names, drawn.reference)
    files = {
        called.html: content.encode(),
        called.markdown: markdown(page).encode(),
        called.json: json.encode(),
    }
    pictures = [figure for figure in page.figures if figure.panels]
    tables = {figure.key: figure.table for figure in page.figures}
    tables |= {data.key: data.table for data in page.data}
    tabled = [key for key, table in tables.items() if table.rows]
    files |= {f"figures/{figure.key}.png": draw_png(figure, names, styles) for figure in pictures}
    files |= {f"tables/{key}.csv": csv_text(tables[key]).encode() for key in tabled}
    every = [f"figures/{figure.key}.{form}" for figure in page.figures for form in ("png", *PICTURES)]
    every += [f"tables/{key}.csv" for key in tables]
    every += [f"tables/{key}.tex" for key in page.tables]
    for form in (one for one in drawn.printed.formats if one in PICTURES):
        for figure in pictures:
            picture = draw_printed(figure, names, styles, form, Paper(drawn.printed.width))
            files[f"figures/{figure.key}.{form}"] = picture
    if "tex" in drawn.printed.formats:
        files |= {f"tables/{key}.tex": latex(table).encode() for key, table in page.tables.items()}
    write_files(directory, files, stale=[name for name in every if name not in files])
    return ReportPaths(
        directory / called.html,
        directory / called.markdown,
        directory / called.json,
        tuple(directory / "figures" / f"{figure.key}.png" for figure in pictures),
        tuple(directory / "tables" / f"{key}.csv" for key in tabled),
    )


def page_html(
    page: Page, names: Sequence[str], reference: str | None, live: html.LiveBar | None = None
) -> str:
    """Return the page as one HTML file's text; with ``live``, as one that keeps itself current."""
    data, content = _shown(page, names, reference)
    return html.render("report.html.j2", data, live, **content)


def page_update(
    page: Page, names: Sequence[str], reference: str | None, live: html.LiveBar
) -> dict[str, Any]:
    """Return the title, body and data that replace those of a live page that is open."""
    data, content = _shown(page, names, reference)
    body = html.render_body("report.html.j2", live, **content)
    return {"title": html.title(page.study), "body": body, "data": data}


def _shown(page: Page, names: Sequence[str], reference: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the data of a page's script, and the content of its markup."""
    drawn = looks(names, reference)
    data = payload(page.figures, names, drawn)
    keys = [html.key(name, look) for name, look in zip(names, drawn, strict=True)]
    return data, {
        "page": page,
        "title": html.title(page.study),
        "schedules": keys,
        "times": list(data["times"]),
    }
