"""The look of every table on the terminal: columns without lines, cells that are never read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text


def names(heading: str, longest: int | None = None) -> Column:
    """Return a column whose cells stay on one line; longer ones end with an ellipsis."""
    return Column(Text(heading), no_wrap=True, overflow="ellipsis", max_width=longest)


def numbers(heading: str, *, wrap: bool = False) -> Column:
    """Return a column that is aligned to the right; ``wrap`` lets its heading take several lines."""
    return Column(Text(heading), justify="right", no_wrap=not wrap, overflow="ellipsis")


def words(heading: str) -> Column:
    """Return a column whose cells are wrapped between words, and cut within a word that is too long."""
    return Column(Text(heading), overflow="fold")


def table(
    columns: Iterable[Column],
    rows: Iterable[Sequence[RenderableType]],
    *,
    title: str | None = None,
    tight: bool = False,
) -> Table:
    """Return a table of these rows; ``tight`` leaves one space between its columns, not two."""
    shown = Table(*columns, box=None, padding=(0, 1 if tight else 2, 0, 0), show_edge=False)
    shown.pad_edge = not tight
    if title is not None:
        shown.title, shown.title_justify = escape(title), "left"
    for row in rows:
        shown.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return shown


def line(*cells: RenderableType, widths: Sequence[int], gap: int) -> Table:
    """Return one line of labels, each as wide as given, and a text that is wrapped beside them."""
    shown = Table.grid(padding=(0, gap, 0, 0))
    for width in widths:
        shown.add_column(width=width, no_wrap=True)
    shown.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    return shown
