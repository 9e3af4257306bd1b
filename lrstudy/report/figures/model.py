"""A figure as data: its sentences, its marks and the table behind it, before it is drawn.

``figures/*.py`` compute these from the Summary, tests assert on them, and they are drawn twice: by plotly
in the page and by matplotlib for ``report.md``. All text is plain text; the renderer escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Values = tuple[float | None, ...]
Cell = str | int | float | bool | None

# The ways to count time, in the order of the page's switch, each with its axis title.
TIMES: Final[Mapping[str, str]] = {
    "epochs": "epochs",
    "steps": "optimizer steps",
    "samples": "training examples seen",
    "tokens": "training tokens seen",
    "seconds": "training seconds",
}
STATIC: Final = ""  # the key of coordinates that no switch changes


def time_title(time: str) -> str:
    """Return the axis title of a way to count time; one that is not among ``TIMES`` is a currency."""
    return TIMES.get(time, f"cost in {time}")


@dataclass(frozen=True, slots=True)
class Points:
    """Coordinates of one mark, all of the same length; ``low`` and ``high`` are empty or bound ``y``."""

    x: Values
    y: Values
    low: Values = ()
    high: Values = ()


Coordinates = Mapping[str, Points]  # by way to count time; ``STATIC`` where there is none


@dataclass(frozen=True, slots=True)
class Line:
    """A curve, with a band where its points have ``low`` and ``high``.

    ``schedule`` is the index of its schedule; ``dim`` draws it thin and pale, as one run among many.
    ``step`` holds a value until the next point, as distribution functions do.
    """

    schedule: int
    label: str
    points: Coordinates
    step: bool = False
    dim: bool = False


@dataclass(frozen=True, slots=True)
class Dots:
    """Single values. ``labels`` name the dots; a ``crossed`` set marks trials that diverged."""

    schedule: int
    label: str
    points: Coordinates
    labels: tuple[str, ...] = ()
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row of a forest plot: a value with its interval; an end that is None has no limit.

    ``wide`` is a second interval around it, drawn thin; None where there is none.
    """

    schedule: int
    row: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    wide: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line across the panel at one value of one axis, with a few words at its end."""

    axis: str  # "x" or "y"
    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """A shaded range of one axis, with a few words."""

    axis: str
    low: float
    high: float
    label: str = ""


Mark = Line | Dots | Estimate | Rule | Zone


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis. ``switch`` offers a logarithmic scale, ``log`` starts with it; ``percent`` shows shares.

    ``time`` takes its title and coordinates from the page's switch; ``range`` is (low, high) in data units.
    ``categories`` are the allowed values of an axis of names, in order.
    """

    title: str
    log: bool = False
    switch: bool = False
    percent: bool = False
    time: bool = False
    range: tuple[float, float] | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot of a figure."""

    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers behind a figure: column names with their units, and rows of plain cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: its key (also the file name), title, takeaway, how to read it, plots and table.

    ``takeaway`` is one sentence computed from the numbers. A figure without panels shows only that
    sentence: there is nothing to draw, and it says why.
    """

    key: str
    title: str
    takeaway: str
    reading: str
    panels: tuple[Panel, ...] = ()
    table: Table = field(default_factory=lambda: Table((), ()))
    stacked: bool = False  # panels share their x axis and are stacked vertically
    clock: str = "epochs"  # the way to count time that is shown first

    @property
    def times(self) -> tuple[str, ...]:
        """The ways to count time that this figure can be switched between, the first one shown first."""
        found = {
            time
            for panel in self.panels
            for mark in panel.marks
            if isinstance(mark, Line | Dots)
            for time in mark.points
        }
        return tuple(
            time for time in dict.fromkeys((self.clock, *TIMES, *sorted(found))) if time in found and time
        )


def static(x: Sequence[float | None], y: Sequence[float | None]) -> dict[str, Points]:
    """Coordinates that no switch changes."""
    return {STATIC: Points(tuple(x), tuple(y))}


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table from any sequences."""
    return Table(tuple(columns), tuple(tuple(row) for row in rows))
