"""``report.html``: one file with its style, its script and plotly's bundle inside, which opens offline."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lrstudy import __version__
from lrstudy.report.style import Look

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
    "diamond": "M17 1.5l5.5 5.5-5.5 5.5L11.500 7Z",
    "triangle-up": "M17 2l5 9H12Z",
    "triangle-down": "M17 12l5-9H12Z",
    "cross": "M15.500 2h3v3.500h3.500v3h-3.500v3.500h-3v-3.500H12v-3h3.500Z",
    "x": "M13.500 2l3.500 3 3.500-3 1.500 1.500-3 3.500 3 3.500-1.500 1.500-3.500-3-3.500 3-1.500-1.500 3-3.500-3-3.500Z",
    "star": "M17 1l1.700 4.100 4.400.3-3.400 2.800 1.100 4.300L17 10.200l-3.800 2.300 1.100-4.300-3.400-2.800 4.400-.3Z",
    "pentagon": "M17 1.500l5.200 3.800-2 6.200h-6.400l-2-6.200Z",
}


def render(template: str, data: dict[str, Any], **content: Any) -> str:
    """A page from a template: ``data`` is what its script draws, ``content`` what its markup shows."""
    scripts = [_script(text) for text in (_plotly_bundle(), _part("plots.js"), _part("page.js"))]
    return _environment().get_template(template).render(
        version=__version__,
        style=Markup(_part("page.css")),  # noqa: S704 - the package's own file
        scripts=scripts,
        script_hashes=[_hash(script) for script in scripts],
        data=_json(data),
        **content,
    )


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
    return Environment(
        loader=PackageLoader("lrstudy.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


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
