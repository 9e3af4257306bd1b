"""The content of a report apart from its figures, as plain data: sections, tables and sentences.

The page and ``report.md`` are two renderings of the same content. All text is plain text.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrstudy.report.figures.model import Figure, Table


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
    """A whole report: the verdict in a sentence first, its conditions, then the sections."""

    study: str
    headline: str
    conditions: tuple[str, ...]
    also: tuple[str, ...]
    sections: tuple[Section, ...]
    closing: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures in the order of the page."""
        return tuple(figure for section in self.sections for figure in section.figures)

    @property
    def data(self) -> tuple[DataFile, ...]:
        """The files of numbers that belong to no figure, in the order of the page."""
        return tuple(data for section in self.sections for data in section.data)
