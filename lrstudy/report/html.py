"""``report.html``: one file with its style, its script and plotly's bundle inside, which opens offline."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lrstudy.report.figures.model import Figure
from lrstudy.report.plotly_data import rows_shown
from lrstudy.report.style import Look
from lrstudy.rules.counting import counted
from lrstudy.version import __version__

# Dash and marker of a schedule's key in the page, as SVG (a box of 34 by 14 around the marker).
_DASH_ARRAYS: Final = {
    "solid": "none",
    "dash": "7 4",
    "dot": "2 3",
    "dashdot": "7 3 2 3",
    "longdash": "11 4",
    "longdashdot": "11 3 2 3",
}
_MARKER_PATHS: Final = {
    "circle": "M17 2.5a4.5 4.5 0 1 0 .01 0Z",
    "square": "M13 3h8v8h-8Z",
    "diamond": "M17 1.5l5.5 5.5-5.5 5.5L11.5 7Z",
    "triangle-up": "M17 2l5 9H12Z",
    "triangle-down": "M17 12l5-9H12Z",
    "cross": "M15.5 2h3v3.5h3.5v3h-3.5v3.5h-3v-3.5H12v-3h3.5Z",
    "x": "M13.5 2l3.5 3 3.5-3 1.5 1.5-3 3.5 3 3.5-1.5 1.5-3.5-3-3.5 3-1.5-1.5 3-3.5-3-3.5Z",
    "star": "M17 1l1.7 4.1 4.4.3-3.4 2.8 1.1 4.3L17 10.2l-3.8 2.3 1.1-4.3-3.4-2.8 4.4-.3Z",
    "pentagon": "M17 1.5l5.2 3.8-2 6.2h-6.4l-2-6.2Z",
}


@dataclass(frozen=True, slots=True)
class LiveBar:
    """The line of a live page on its run: a ``kind`` (see ``live_page``), words, and the time of both.

    The page asks ``every`` so many seconds for a later ``version``.
    """

    kind: str
    words: str
    at: str
    version: int
    every: float


def render(template: str, data: dict[str, Any], live: LiveBar | None = None, **content: Any) -> str:
    """Return a page from a template: ``data`` is what its script draws, ``content`` what its markup shows.

    A ``live`` page has a line on its run, and a script that keeps the page current.
    """
    parts = ("plots.js", "page.js", *(("live.js",) if live else ()))
    scripts = [_script(text) for text in (_plotly_bundle(), *map(_part, parts))]
    return (
        _environment()
        .get_template(template)
        .render(
            layout="layout.html.j2",
            version=__version__,
            style=Markup(_part("page.css")),  # noqa: S704 - the package's own file
            scripts=scripts,
            script_hashes=[_hash(script) for script in scripts],
            data=_json(data),
            live=live,
            **content,
        )
    )


def render_body(template: str, live: LiveBar, **content: Any) -> str:
    """Return the markup of a live page's body, without style, scripts and data."""
    return _environment().get_template(template).render(layout="body.html.j2", live=live, **content)


def title(study: str) -> str:
    """Return a page's title."""
    return f"{study} – learning-rate schedules compared"


def key(name: str, look: Look) -> dict[str, str]:
    """A schedule's name and its key in the page: colours, dash and marker as SVG attributes."""
    return {
        "name": name,
        "light": look.light,
        "dark": look.dark,
        "dash_array": _DASH_ARRAYS[look.dash],
        "marker_path": _MARKER_PATHS[look.marker],
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lrstudy.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["rows_said"] = _rows_said
    return environment


def _rows_said(figure: Figure) -> str:
    """Describe the table behind a figure by its number of rows."""
    rows, shown = len(figure.table.rows), rows_shown(figure.table)
    if shown < rows:
        return f"Table, {shown:,} of {rows:,} rows (all in tables/{figure.key}.csv)"
    return f"Table, {counted(rows, 'row')}"


def _part(name: str) -> str:
    return files("lrstudy.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _plotly_bundle() -> str:
    """plotly.js as its Python package ships it, without the line that names a source map."""
    text = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    return re.sub(r"\n?//# sourceMappingURL=\S+", "", text)


def _script(text: str) -> Markup:
    """A script's text for the inside of a script element, which only its end tag would end."""
    return Markup(re.sub(r"</(?=script)", r"<\\/", text, flags=re.IGNORECASE))  # noqa: S704 - our own and plotly's


def _hash(script: str) -> Markup:
    """The script's entry in the page's content security policy: nothing else may run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Markup(f"'sha256-{digest}'")  # noqa: S704 - base64 has no markup


def _json(data: dict[str, Any]) -> Markup:
    """JSON for the inside of a script element: no ``<`` means no tag can end or begin there."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - every markup letter is escaped above
