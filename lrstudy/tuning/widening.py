"""Where a search goes on when its best value lies at the edge of what was searched.

The rule, for each range by itself: a best value in the outer ``EDGE`` of a range (on its own scale) moves
that end outwards, by a factor of ``FACTOR`` on a log scale and by the range's width otherwise, but never
beyond what the parameter allows. It is applied before every generation of the extension, to all results so
far, so that it repeats from the results alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lrstudy.catalog import Parameter
from lrstudy.catalog.schedules import SCHEDULES
from lrstudy.spec import Range, Space

EDGE = 0.05
FACTOR = 10.0


def widen(kind: str, space: Mapping[str, Space], best: Mapping[str, Any]) -> dict[str, Space]:
    """The space with each range widened at whose end the best parameters lie."""
    component = SCHEDULES.get(kind)
    return {
        name: _widened(span, float(best[name]), component.parameter(name) if component else None)
        if isinstance(span, Range) and not span.names
        else span
        for name, span in space.items()
    }


def added(before: Space, after: Space) -> tuple[float, float] | None:
    """The part of a range that widening has added; None where nothing was."""
    if not isinstance(before, Range) or not isinstance(after, Range) or before == after:
        return None
    (low, high), (new_low, new_high) = before.ends({}), after.ends({})
    return (new_low, low) if new_low < low else (high, new_high)


def _widened(span: Range, value: float, parameter: Parameter | None) -> Range:
    low, high = span.ends({})
    scale = math.log if span.log else float
    place = (scale(value) - scale(low)) / (scale(high) - scale(low))
    if EDGE <= place <= 1 - EDGE:
        return span
    if place < EDGE:
        low = _allowed(low / FACTOR if span.log else low - (high - low), low, parameter)
    else:
        high = _allowed(high * FACTOR if span.log else high + (high - low), high, parameter)
    if span.integer:
        low, high = math.ceil(low), math.floor(high)
    return Range(low, high, span.log, span.integer)


def _allowed(wanted: float, now: float, parameter: Parameter | None) -> float:
    """The end that is wanted, or as far towards it as the parameter goes."""
    if parameter is None:
        return wanted
    if wanted < now and wanted <= parameter.low:
        # An open bound is approached, never reached.
        return (now + parameter.low) / 2 if parameter.open_low else parameter.low
    if wanted > now and wanted >= parameter.high:
        return (now + parameter.high) / 2 if parameter.open_high else parameter.high
    return wanted
