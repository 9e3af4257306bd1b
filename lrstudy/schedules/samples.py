"""A few configurations of a search space that represent all of it: its middle, its corners, every choice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lrstudy.rules.values import equal
from lrstudy.spec import Choices, Range, ScheduleSpec, Space

MOST: Final = 64
_INSIDE: Final = 1e-3  # two ranges that touch meet at their ends, where a sampler never is but a grid is


def sample_configurations(schedule: ScheduleSpec, *, ends: bool = False) -> list[dict[str, Any]]:
    """Return up to ``MOST`` configurations, the middle of the space first.

    Then come all lows, all highs, each parameter alone at its ends or choices, and combinations of these.
    With ``ends`` the ends of real ranges belong to them, else values just inside.
    """
    space = schedule.space
    points = {name: _points(span, 0.0 if ends else _INSIDE) for name, span in space.items()}
    middle = {name: shares[len(shares) // 2] for name, shares in points.items()}
    found: list[dict[str, Any]] = []
    for places in itertools.islice(_places(points, middle), 10 * MOST):
        params = dict(schedule.fixed)
        # A range that ends at other parameters comes after them.
        for name in sorted(space, key=lambda name: _names(space[name])):
            params[name] = _value(space[name], places[name], params)
        if not any(equal(params, other) for other in found):
            found.append(params)
        if len(found) == MOST:
            break
    return found


def _places(points: Mapping[str, Sequence[float]], middle: Mapping[str, float]) -> Iterator[dict[str, float]]:
    yield dict(middle)
    for place in (0, -1):
        yield {name: shares[place] for name, shares in points.items()}
    for name, shares in points.items():
        for share in shares:
            yield {**middle, name: share}
    for combination in itertools.product(*points.values()):
        yield dict(zip(points, combination, strict=True))


def _points(space: Space, inside: float) -> list[float]:
    """Shares of the way through a range, or places of choices."""
    if isinstance(space, Choices):
        return [float(place) for place in range(len(space.values))]
    if space.tested:  # a range test will narrow it: of its ends nothing is known
        return [0.5]
    inside = 0.0 if space.integer else _INSIDE if space.names else inside
    return [inside, 0.5, 1.0 - inside]


def _names(space: Space) -> int:
    return len(space.names) if isinstance(space, Range) else 0


def _value(space: Space, place: float, params: Mapping[str, Any]) -> Any:
    if isinstance(space, Choices):
        return space.values[int(place)]
    low, high = space.ends(params)
    value = low * (high / low) ** place if space.log else low + place * (high - low)
    if space.integer:
        return round(value)
    return min(max(value, low), high)
