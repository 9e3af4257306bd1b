"""The table that every reader of a log returns: named columns, with the line that each row began on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lrstudy.errors import InputError, Problem
from lrstudy.safe_text import safe_line


@dataclass(slots=True)
class LogTable:
    """A log's columns, as its file holds them: lists with None for no value, or numpy or Arrow arrays.

    An array is masked, or null, where a row has no value: NaN is a measured one. With ``is_text`` the cells
    are texts that may be numbers. ``foreign`` names the types of columns that hold neither text nor numbers.
    ``percent_signs`` are columns that had them. ``headers`` are the lines on which the header is repeated,
    ``notes`` what the reader skipped. ``constants`` are what a run has one value of, by flat names
    (``config.lr_scheduler_type``, ``run.name``).
    """

    where: str
    columns: dict[str, Any]
    lines: list[int | None]
    is_text: bool = False
    foreign: dict[str, str] = field(default_factory=dict)
    percent_signs: set[str] = field(default_factory=set)
    headers: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The columns' names, in the file's order."""
        return list(self.columns)

    def __len__(self) -> int:
        return len(self.lines)


def printable(value: object) -> str:
    """A value as a text of one line: what could steer a terminal or break a line becomes an escape.

    >>> printable("step\\x1b[2J"), printable(0.1), printable(None)
    ('step\\\\x1b[2J', '0.1', '')
    """
    return "" if value is None else safe_line(str(value))


def column_names(where: str, names: Iterable[object]) -> list[str]:
    """Columns' names without surrounding space, fit to be shown; raises ``InputError`` for a repeated one."""
    shown = [printable(str(name).strip()) or f"column {at}" for at, name in enumerate(names, start=1)]
    twice = [name for name, times in Counter(shown).items() if times > 1]
    if twice:
        raise InputError(
            Problem(where, ", ".join(twice), "is in the header twice", "Keep one of the columns")
        )
    return shown


def refusal(where: str, message: str, remedy: str, line: int | None = None) -> InputError:
    """The error of a whole file, or of one of its lines."""
    return InputError(Problem(where, "", message, remedy, line=line))
