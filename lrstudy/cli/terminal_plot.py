"""Curves as text: dots of braille letters, eight to a cell, where the terminal has them, else letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

# The bit of each dot in a braille letter, by row and column.
_BITS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE: Final = 0x2800
_BARS: Final = "▁▂▃▄▅▆▇█"
_DASH: Final = 6
_LABELS: Final = 9  # columns left of the axis


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: its style in rich's words, its mark where there is no braille, and its kind of line."""

    x: Sequence[float | None]
    y: Sequence[float | None]
    style: str = ""
    letter: str = "*"
    dashed: bool = False


def has_braille(encoding: str) -> bool:
    """Return True if text in this encoding can hold the dots, and the bars of sparklines."""
    try:
        (chr(_BRAILLE) + _BARS).encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def plot(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    log: bool = False,
    percent: bool = False,
    dots: bool = True,
) -> list[Text]:
    """Return the lines of a plot of ``width`` columns: ``height`` rows, the axis and its ends below it.

    Later series are drawn over earlier ones. Points that are not finite (with ``log``, not positive) are
    left out, and the curve has a gap there.
    """
    drawn = [[_point(x, y, log) for x, y in zip(one.x, one.y, strict=True)] for one in series]
    points = [point for line in drawn for point in line if point is not None]
    if not points:
        return [Text("(no finite value)", style="dim")]
    across, down = (2, 4) if dots else (1, 1)
    columns = width - _LABELS - 2
    box = _Box(points, columns * across, height * down)
    cells: dict[tuple[int, int], tuple[int, Series]] = {}
    for one, line in zip(series, drawn, strict=True):
        for column, row in box.path(line):
            if one.dashed and dots and column % _DASH >= _DASH // 2:
                continue
            cell = (row // down, column // across)
            bits = cells[cell][0] if cell in cells else 0
            cells[cell] = bits | _BITS[row % down][column % across], one
    low, high = (_number(box.value(edge), log, percent) for edge in (0, 1))
    if low == high:
        return [Text(f"{low:>{_LABELS}} throughout")]
    rows = []
    for row in range(height):
        label = high if row == 0 else low if row == height - 1 else ""
        text = Text(f"{label:>{_LABELS}} │" if dots else f"{label:>{_LABELS}} |", style="")
        for column in range(columns):
            if (row, column) in cells:
                bits, own = cells[row, column]
                text.append(chr(_BRAILLE + bits) if dots else own.letter, style=own.style)
            else:
                text.append(" ")
        rows.append(text)
    first, last = (f"{box.left + share * (box.right - box.left):g}" for share in (0, 1))
    pad = " " * _LABELS
    corner, dash = ("└", "─") if dots else ("+", "-")
    rows.append(Text(f"{pad} {corner}{dash * columns}"))
    rows.append(Text(f"{pad}  {first}{last:>{columns - len(first)}}"))
    return rows


def sparkline(values: Sequence[float], width: int, low: float, high: float) -> str:
    """Return the values as bars, thinned to at most ``width``, the last one kept.

    Values below ``low`` or above ``high`` are drawn as these.

    >>> sparkline([-9.0, 0.5, 1.0], 8, 0.0, 1.0), sparkline([3.0], 8, 3.0, 3.0)
    ('▁▄█', '▁')
    """
    kept = values
    if len(values) > width:
        kept = [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]
    reach = high - low
    shares = (min(max((value - low) / reach, 0.0), 1.0) if reach > 0 else 0.0 for value in kept)
    return "".join(_BARS[int(share * (len(_BARS) - 1))] for share in shares)


class _Box:
    """The places of points in a grid of dots."""

    def __init__(self, points: Sequence[tuple[float, float]], columns: int, rows: int) -> None:
        self.left, self.right = min(x for x, _ in points), max(x for x, _ in points)
        self._low, self._high = min(y for _, y in points), max(y for _, y in points)
        self._columns, self._rows = columns, rows

    def value(self, share: float) -> float:
        return self._low + share * (self._high - self._low)

    def path(self, line: Sequence[tuple[float, float] | None]) -> list[tuple[int, int]]:
        """Return the column and row of every dot of a curve, joined where no point is missing."""
        path: list[tuple[int, int]] = []
        before: tuple[int, int] | None = None
        for point in line:
            at = None if point is None else self._place(*point)
            if at is not None:
                path += [at] if before is None else _between(before, at)
            before = at
        return path

    def _place(self, x: float, y: float) -> tuple[int, int]:
        wide, tall = self.right - self.left, self._high - self._low
        across = (x - self.left) / wide if wide else 0.0
        up = (y - self._low) / tall if tall else 0.5
        return round(across * (self._columns - 1)), round((1 - up) * (self._rows - 1))


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            round(start[0] + i * (end[0] - start[0]) / steps),
            round(start[1] + i * (end[1] - start[1]) / steps),
        )
        for i in range(steps + 1)
    ]


def _point(x: float | None, y: float | None, log: bool) -> tuple[float, float] | None:
    if x is None or y is None or not math.isfinite(x) or not math.isfinite(y) or (log and y <= 0):
        return None
    return x, math.log10(y) if log else y


def _number(value: float, log: bool, percent: bool) -> str:
    shown = 10**value if log else value
    return f"{100 * shown:.4g}%" if percent else f"{shown:.4g}"
