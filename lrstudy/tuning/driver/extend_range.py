"""The rule that widens a search range whose best value is at its edge.

Each range is judged separately: a best value that is at an end, or near one with no tried value between the
two, moves that end outwards by the width of the range, on a log scale by a factor from 10 to 1,000, but never
beyond the bounds of the parameter. If the trials hardly learned, their values differ only by chance: the end
towards which the training loss fell faster then moves (``rules.search_edges``). The rule is applied before
every generation of the extension, to all results so far, so that it depends only on the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrstudy.catalog import Parameter
from lrstudy.rules.search_edges import End, at_end, hardly_learned, outermost_near, place_in, trend
from lrstudy.spec import Range, Space

FACTORS = (10.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A configuration that has been tried, in the form that the search takes.

    ``objective`` is None if it diverged: it counts as worse than every measured one. A ``failed`` one carries
    no information on its hyperparameters and is left out. ``learned`` is the share by which its training loss
    fell.
    """

    params: Mapping[str, Any]
    objective: float | None
    failed: bool = False
    learned: float | None = None


def widen(
    space: Mapping[str, Space],
    history: Sequence[Evaluated],
    declared: Callable[[str], Parameter | None],
    *,
    higher_is_better: bool,
) -> dict[str, Space]:
    """Return the space with each range widened at the end beyond which better values may be.

    ``declared`` returns the declaration of a parameter, which bounds its range; None if there is none.
    """
    tried = [one for one in history if not one.failed]
    measured = [one for one in tried if one.objective is not None]
    if not measured:
        return dict(space)
    sign = -1.0 if higher_is_better else 1.0
    best = min(measured, key=lambda one: sign * (one.objective or 0.0))
    falls = [one for one in measured if one.learned is not None]
    idle = hardly_learned([one.learned or 0.0 for one in falls])
    widened = dict(space)
    for name, span in space.items():
        if not isinstance(span, Range) or span.names:
            continue
        if idle:
            end = trend([(float(one.params[name]), one.learned or 0.0) for one in falls])
        else:
            end = _end(span, float(best.params[name]), [float(one.params[name]) for one in tried])
        widened[name] = _widen_range(span, end, declared(name))
    return widened


def added_part(before: Space, after: Space) -> tuple[float, float] | None:
    """Return the part that widening has added to a range, or None."""
    if not isinstance(before, Range) or not isinstance(after, Range) or before == after:
        return None
    (low, high), (new_low, new_high) = before.ends({}), after.ends({})
    return (new_low, low) if new_low < low else (high, new_high)


def _widen_range(span: Range, end: End | None, parameter: Parameter | None) -> Range:
    if end is None:
        return span
    low, high = span.ends({})
    factor = min(max(high / low, FACTORS[0]), FACTORS[1]) if span.log else 0.0
    width = high - low
    if end == "low":
        low = _limit(low / factor if span.log else low - width, low, parameter)
    else:
        high = _limit(high * factor if span.log else high + width, high, parameter)
    if span.integer:
        low, high = math.ceil(low), math.floor(high)
    return Range(low, high, span.log, span.integer)


def _end(span: Range, value: float, tried: Sequence[float]) -> End | None:
    """Return the end of a range at which a best value is, or near which with no tried value between."""
    low, high = span.ends({})
    place = place_in(low, high, value, log=span.log)
    return at_end(place) or outermost_near(place, value, tried)


def _limit(wanted: float, now: float, parameter: Parameter | None) -> float:
    """Return the wanted end, limited to the bounds of the parameter."""
    if parameter is None:
        return wanted
    if wanted < now and wanted <= parameter.low:
        # An open bound is approached, never reached.
        return (now + parameter.low) / 2 if parameter.open_low else parameter.low
    if wanted > now and wanted >= parameter.high:
        return (now + parameter.high) / 2 if parameter.open_high else parameter.high
    return wanted
