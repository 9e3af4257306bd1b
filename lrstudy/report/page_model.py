"""The content of a report apart from its figures, as plain data: sections, tables and sentences.

The page and ``report.md`` are two renderings of the same content. All text is plain text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lrstudy.report.figures.model import Figure, Table
from lrstudy.report.text import NO_VALUE


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: its text, and its interval or second line under it.

    ``schedule`` is the index of the schedule that a row is about; ``verdict`` one of the analysis's words.
    """

    text: str
    range: str = ""
    number: bool = False
    schedule: int | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, and whether it holds numbers."""

    title: str
    number: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a common title (empty: none)."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class NumberTable:
    """A table that is always shown, with notes below it."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of the table's file, without a suffix."""
        return self.title.lower().replace(" ", "-")

    def without_empty_columns(self) -> NumberTable:
        """Return the table without the columns that hold nothing but dashes."""
        rows = [row for group in self.groups for row in group.rows]
        kept = [
            at for at in range(len(self.columns)) if not rows or any(row[at].text != NO_VALUE for row in rows)
        ]
        groups = tuple(
            replace(group, rows=tuple(tuple(row[at] for at in kept) for row in group.rows))
            for group in self.groups
        )
        return replace(self, columns=tuple(self.columns[at] for at in kept), groups=groups)


@dataclass(frozen=True, slots=True)
class DataFile:
    """Rows that are not shown: ``tables/KEY.csv``, with the words before the link to it."""

    key: str
    title: str
    table: Table


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report. ``items`` are warnings, ``facts`` name-and-value pairs."""

    key: str
    title: str
    intro: tuple[str, ...] = ()
    tables: tuple[NumberTable, ...] = ()
    data: tuple[DataFile, ...] = ()
    figures: tuple[Figure, ...] = ()
    items: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    verbatim_title: str = ""
    verbatim: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report: the verdict in a sentence first, its conditions, then the sections.

    ``also`` are further sentences beside the verdict, ``how`` those that explain how it was reached.
    ``command`` is the command line that a sentence of ``also`` names, shown as code; or empty.
    """

    study: str
    headline: str
    conditions: tuple[str, ...]
    also: tuple[str, ...]
    sections: tuple[Section, ...]
    closing: str
    how: tuple[str, ...] = ()
    command: str = ""

    def __post_init__(self) -> None:
        shown = tuple(
            replace(one, tables=tuple(table.without_empty_columns() for table in one.tables))
            for one in self.sections
        )
        object.__setattr__(self, "sections", shown)

    @property
    def tables(self) -> dict[str, NumberTable]:
        """All tables by a name for their file, in the order of the page."""
        return {table.key: table for section in self.sections for table in section.tables}

    def parts(self, sentence: str) -> tuple[tuple[str, bool], ...]:
        """Return the parts of a sentence, each with True if it is shown as code."""
        before, command, after = sentence.partition(self.command) if self.command else (sentence, "", "")
        return tuple(part for part in ((before, False), (command, True), (after, False)) if part[0])

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures in the order of the page."""
        return tuple(figure for section in self.sections for figure in section.figures)

    @property
    def data(self) -> tuple[DataFile, ...]:
        """The files of numbers that belong to no figure, in the order of the page."""
        return tuple(data for section in self.sections for data in section.data)
