"""Where a search goes on when its best value lies at the edge of what was searched.

The rule, for each range by itself: a best value that is at an end, or near one with nothing tried between
the two (``rules.ends``), moves that end outwards by the range's own width, on a log scale by a factor from
10 to 1,000, but never beyond what the parameter allows. Where the training loss of no trial fell by more
than the share ``LEARNED``, their values differ by luck alone: the end towards which it fell faster (rank
correlation over ``TREND``) then moves. The rule is applied before every generation of the extension, to all
results so far, so that it repeats from the results alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrstudy.catalog import Parameter
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.rules.ends import FEWEST_TRIED, LEARNED, TREND, at_end, outermost_near, place_in
from lrstudy.spec import Range, Space

FACTORS = (10.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A configuration that has been tried, as the search sees it.

    ``objective`` is None for one that diverged: it counts as worse than every measured one. A ``failed``
    one says nothing about its hyperparameters and is left out. ``learned`` is by what share its training
    loss fell.
    """

    params: Mapping[str, Any]
    objective: float | None
    failed: bool = False
    learned: float | None = None


def widen(
    kind: str, space: Mapping[str, Space], history: Sequence[Evaluated], *, higher_is_better: bool
) -> dict[str, Space]:
    """The space with each range widened at the end where better values may lie beyond."""
    tried = [one for one in history if not one.failed]
    measured = [one for one in tried if one.objective is not None]
    if not measured:
        return dict(space)
    component = SCHEDULES.get(kind)
    sign = -1.0 if higher_is_better else 1.0
    best = min(measured, key=lambda one: sign * (one.objective or 0.0))
    falls = [one for one in measured if one.learned is not None]
    idle = bool(falls) and max(one.learned or 0.0 for one in falls) <= LEARNED
    found = dict(space)
    for name, span in space.items():
        if not isinstance(span, Range) or span.names:
            continue
        if idle:
            end = _trend([(float(one.params[name]), one.learned or 0.0) for one in falls])
        else:
            end = _end(span, float(best.params[name]), [float(one.params[name]) for one in tried])
        found[name] = _widened(span, end, component.parameter(name) if component else None)
    return found


def added(before: Space, after: Space) -> tuple[float, float] | None:
    """The part of a range that widening has added; None where nothing was."""
    if not isinstance(before, Range) or not isinstance(after, Range) or before == after:
        return None
    (low, high), (new_low, new_high) = before.ends({}), after.ends({})
    return (new_low, low) if new_low < low else (high, new_high)


def _widened(span: Range, end: int, parameter: Parameter | None) -> Range:
    if end == 0:
        return span
    low, high = span.ends({})
    factor = min(max(high / low, FACTORS[0]), FACTORS[1]) if span.log else 0.0
    width = high - low
    if end < 0:
        low = _allowed(low / factor if span.log else low - width, low, parameter)
    else:
        high = _allowed(high * factor if span.log else high + width, high, parameter)
    if span.integer:
        low, high = math.ceil(low), math.floor(high)
    return Range(low, high, span.log, span.integer)


def _end(span: Range, value: float, tried: Sequence[float]) -> int:
    """At which end of a range a value is: -1, 1, or 0 for neither."""
    low, high = span.ends({})
    place = place_in(low, high, value, log=span.log)
    end = at_end(place) or outermost_near(place, value, tried)
    return 0 if end is None else -1 if end == "low" else 1


def _trend(pairs: Sequence[tuple[float, float]]) -> int:
    """Towards which end the second of the pairs rises clearly: -1, 1, or 0 for neither."""
    if len(pairs) < FEWEST_TRIED or min(len(set(column)) for column in zip(*pairs, strict=True)) < 2:
        return 0
    from scipy import stats  # half a second that most studies do not need before they start

    correlation = float(stats.spearmanr(pairs).statistic)
    return (correlation > TREND) - (correlation < -TREND)


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
