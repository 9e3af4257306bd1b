"""One visual language for the page and the pictures: a colour, a dash and a marker for each schedule.

The colours are Okabe and Ito's eight (M. Okabe and K. Ito, Color Universal Design, 2008), which people with
the common kinds of colour blindness can tell apart. Dash and marker differ too: colour is never alone.
The reference schedule is always drawn in ink (black, or white on a dark page).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Okabe and Ito's colours without black; yellow last, because it is faint on white.
_HUES: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
# On a dark page blue and yellow change places in contrast: blue is lightened a little, the rest reads well.
_DARK_HUES: Final = ("#4AA3DF", "#F07A2B", "#1FC296", "#DE9CC0", "#F2B632", "#8CCBF0", "#F0E442")
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_MARKERS: Final = ("square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star", "pentagon")

INK: Final = "#1a1a1a"
DARK_INK: Final = "#f2f2f2"


@dataclass(frozen=True, slots=True)
class Look:
    """Colour, dash and marker of a schedule in every figure. Dash and marker carry plotly's names."""

    light: str
    dark: str
    dash: str
    marker: str


def band_strength(bands: int) -> float:
    """Return the opacity of each band in one plot: many strong ones would hide one another.

    >>> band_strength(1), round(band_strength(5), 3)
    (0.18, 0.099)
    """
    return max(0.06, 0.18 / max(1.0, bands / 1.5) ** 0.5) if bands > 1 else 0.18


def looks(names: Sequence[str], reference: str | None) -> tuple[Look, ...]:
    """A look for each schedule, in the given order; the reference is drawn in ink.

    >>> [look.light for look in looks(["rule", "fixed"], "fixed")]
    ['#0072B2', '#1a1a1a']
    """
    found = []
    place = 0
    for name in names:
        if name == reference:
            found.append(Look(INK, DARK_INK, "solid", "circle"))
            continue
        hue = place % len(_HUES)
        # Beyond seven schedules a colour comes again, with another dash and another marker.
        dash = _DASHES[(place + place // len(_HUES)) % len(_DASHES)]
        marker = _MARKERS[(place + 3 * (place // len(_HUES))) % len(_MARKERS)]
        found.append(Look(_HUES[hue], _DARK_HUES[hue], dash, marker))
        place += 1
    return tuple(found)
