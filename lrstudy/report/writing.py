"""From a Summary to the files of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from lrstudy.analysis.summary import Summary
from lrstudy.report import html
from lrstudy.report.comparison import Comparison
from lrstudy.report.files import check_folder, write_files
from lrstudy.report.markdown import markdown
from lrstudy.report.matplotlib_renderer import draw_png
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


class _Names(NamedTuple):
    """File names of a page."""

    html: str
    markdown: str
    json: str


def write_report(
    summary: Summary, directory: str | PathLike[str], *, made_at: datetime | None = None
) -> ReportPaths:
    """Write a study's report into a folder: page, Markdown with PNG figures, ``summary.json``, CSV tables.

    The same summary gives the same bytes; ``made_at`` (aware) is the only date, in the last line
    of page and Markdown. Raises ``InputError`` when the folder cannot be written.
    """
    files = _Names("report.html", "report.md", "summary.json")
    page = study_page(summary, made_at)
    return _write_page(page, summary.names, summary.reference, summary.to_json(), Path(directory), files)


def write_comparison(
    comparison: Comparison, directory: str | PathLike[str], *, made_at: datetime | None = None
) -> ReportPaths:
    """Write the comparison of several studies into a folder, as ``write_report`` does for one.

    The files are called ``comparison.html``, ``comparison.md`` and ``comparison.json``.
    """
    page = comparison_page(comparison, made_at)
    files = _Names("comparison.html", "comparison.md", "comparison.json")
    names, text = comparison.schedules, comparison.to_json()
    return _write_page(page, names, comparison.reference, text, Path(directory), files)


def _write_page(
    page: Page, names: Sequence[str], reference: str | None, json: str, directory: Path, called: _Names
) -> ReportPaths:
    check_folder(directory)
    drawn = looks(names, reference)
    content = page_html(page, names, reference)
    files = {
        called.html: content.encode(),
        called.markdown: markdown(page).encode(),
        called.json: json.encode(),
    }
    pictures = [figure for figure in page.figures if figure.panels]
    tabled = [figure for figure in page.figures if figure.table.rows]
    files |= {f"figures/{figure.key}.png": draw_png(figure, names, drawn) for figure in pictures}
    files |= {f"tables/{figure.key}.csv": csv_text(figure.table).encode() for figure in tabled}
    every = [f"figures/{figure.key}.png" for figure in page.figures]
    every += [f"tables/{figure.key}.csv" for figure in page.figures]
    write_files(directory, files, stale=[name for name in every if name not in files])
    return ReportPaths(
        directory / called.html,
        directory / called.markdown,
        directory / called.json,
        tuple(directory / "figures" / f"{figure.key}.png" for figure in pictures),
        tuple(directory / "tables" / f"{figure.key}.csv" for figure in tabled),
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
