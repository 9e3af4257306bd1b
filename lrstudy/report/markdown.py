"""``report.md``: the same content for a code host, with the figures as PNG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from lrstudy.report.figures.model import Figure
from lrstudy.report.page_model import Cell, NumberTable, Page, Section

# What Markdown (and a code host's mathematics) would read as markup; everything else is left readable.
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "@": "&#64;"}
# Not the number sign of the entities above.
_ESCAPED: Final = re.compile(r"(?<!&)([\\`*_\[\]|~#])")
_LINK: Final = re.compile(r"(https?|ftp|www)([:.])", re.IGNORECASE)


def markdown(page: Page) -> str:
    """The page as GitHub-flavoured Markdown, ending in a newline."""
    lines = [f"# {plain(page.study)}", "", f"**{plain(page.headline)}**", ""]
    for sentence in page.also:
        lines += ["".join(_code(text) if code else _words(text) for text, code in page.parts(sentence)), ""]
    lines += _paragraphs(page.how)
    lines += [plain(" · ".join(page.conditions)), ""]
    for section in page.sections:
        lines += _section(section)
    lines += ["---", "", plain(page.closing)]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line.

    >>> plain("<b>a|b</b> $x$")
    '&lt;b&gt;a\\\\|b&lt;/b&gt; &#36;x&#36;'
    """
    return _words(" ".join(text.split()))


def _words(text: str) -> str:
    flat = re.sub(r"\s+", " ", text)
    for letter, entity in _ENTITIES.items():
        flat = flat.replace(letter, entity)
    # A code host turns bare addresses into links; a zero-width entity keeps them text.
    flat = _LINK.sub(lambda found: f"{found[1]}&#8203;{found[2]}", flat)
    return _ESCAPED.sub(r"\\\1", flat)


def _code(text: str) -> str:
    """Return a text as a code span; one with backticks is fenced by more of them."""
    fence = _fence(text, 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _fence(text: str, least: int) -> str:
    return "`" * max(least, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))


def _section(section: Section) -> list[str]:
    lines = [f"## {plain(section.title)}", "", *_paragraphs(section.intro)]
    for table in section.tables:
        lines += _table(table)
    for data in section.data:
        lines += [_link(data.title, data.key), ""] if data.table.rows else []
    for figure in section.figures:
        lines += _figure(figure)
    lines += [f"- {plain(item)}" for item in section.items]
    lines += [f"- **{plain(name)}**: {plain(value)}" for name, value in section.facts]
    if section.items or section.facts:
        lines.append("")
    if section.verbatim:
        fence = _fence(section.verbatim, 3)
        summary = f"<details><summary>{plain(section.verbatim_title)}</summary>"
        lines += [summary, "", f"{fence}json", *section.verbatim.splitlines(), fence, "", "</details>", ""]
    return lines


def _paragraphs(sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in (plain(sentence), "")]


def _table(table: NumberTable) -> list[str]:
    lines: list[str] = []
    for group in table.groups:
        if group.title:
            lines += [f"**{plain(group.title)}**", ""]
        lines.append(_row([plain(column.title) for column in table.columns]))
        lines.append(_row(["--:" if column.number else ":--" for column in table.columns]))
        lines += [_row([_cell(cell) for cell in row]) for row in group.rows]
        lines.append("")
    return lines + _paragraphs(table.notes)


def _cell(cell: Cell) -> str:
    return plain(cell.text) + (f"<br>{plain(cell.range)}" if cell.range else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(figure: Figure) -> list[str]:
    lines = [f"### {plain(figure.title)}", "", plain(figure.takeaway), ""]
    if figure.panels:
        lines += [f"![{plain(figure.title)}](figures/{figure.key}.png)", ""]
    if figure.reading:
        lines += [f"<sub>{plain(figure.reading)}</sub>", ""]
    if figure.table.rows:
        lines += [_link("Numbers", figure.key), ""]
    return lines


def _link(title: str, key: str) -> str:
    return f"{plain(title)}: [tables/{key}.csv](tables/{key}.csv)"
