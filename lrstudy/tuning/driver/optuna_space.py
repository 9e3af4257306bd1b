"""The coordinates in which Optuna samples a schedule's hyperparameters.

For Optuna a choice is its index (Optuna stores only plain values). A value in a range that ends at another
parameter is its relative position from 0 to 1 between the ends, so that the distribution is the same for
every trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lrstudy.spec import Choices, Range, Space

_SHARE = FloatDistribution(0.0, 1.0)


class Coordinates:
    """The coordinates of a search space; ``fixed`` are the parameters that are not searched."""

    def __init__(self, space: Mapping[str, Space], fixed: Mapping[str, Any]) -> None:
        self._space, self._fixed = space, fixed

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the distributions to pass to Optuna's ``ask``."""
        return {name: _distribution(space) for name, space in self._space.items()}

    def params(self, coordinates: Mapping[str, Any]) -> dict[str, Any]:
        """Return the hyperparameters, in the study file's order."""
        params = dict(self._fixed)
        # Parameters whose range depends on others come after them.
        for name in sorted(self._space, key=lambda name: _is_share(self._space[name])):
            params[name] = _value(self._space[name], coordinates[name], params)
        return {name: params[name] for name in self._space}

    def of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the coordinates of hyperparameters."""
        return {name: _coordinate(space, params[name], params) for name, space in self._space.items()}

    def hold(self, params: Mapping[str, Any]) -> bool:
        """Return True if hyperparameters are in the space; those from before a range test may not be."""
        return all(_holds(space, params[name]) for name, space in self._space.items())

    def grid(self, trials: int) -> dict[str, list[Any]]:
        """Return all choices, and on each range as many points as the budget allows, ends included."""
        spaces = self._space
        ranges = [name for name, space in spaces.items() if isinstance(space, Range)]
        combinations = math.prod(len(space.values) for space in spaces.values() if isinstance(space, Choices))
        points = int((trials / combinations) ** (1 / len(ranges)) + 1e-9) if ranges else 0
        return {name: _grid_points(space, max(points, 1)) for name, space in spaces.items()}


def _holds(space: Space, value: Any) -> bool:
    if not isinstance(space, Range) or _is_share(space):
        return True
    low, high = space.ends({})
    whole = not space.integer or float(value).is_integer()
    return whole and bool(low <= value <= high)


def _is_share(space: Space) -> bool:
    return isinstance(space, Range) and bool(space.names)


def _distribution(space: Space) -> BaseDistribution:
    if isinstance(space, Choices):
        return CategoricalDistribution(tuple(range(len(space.values))))
    if _is_share(space):
        return _SHARE
    low, high = space.ends({})
    if space.integer:
        return IntDistribution(int(low), int(high), log=space.log)
    return FloatDistribution(float(low), float(high), log=space.log)


def _value(space: Space, coordinate: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(space, Choices):
        return space.values[coordinate]
    if not _is_share(space):
        return coordinate
    low, high = space.ends(params)
    if not space.log:
        return low + coordinate * (high - low)
    # Clipped to the ends: exp(log(x)) may leave the range by one bit.
    return min(max(low * (high / low) ** coordinate, low), high)


def _coordinate(space: Space, value: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(space, Choices):
        return space.index(value)
    if not _is_share(space):
        return value
    low, high = space.ends(params)
    share = math.log(value / low) / math.log(high / low) if space.log else (value - low) / (high - low)
    return min(max(share, 0.0), 1.0)


def _grid_points(space: Space, points: int) -> list[Any]:
    if isinstance(space, Choices):
        return list(range(len(space.values)))
    steps = [0.5] if points == 1 else [index / (points - 1) for index in range(points)]
    if _is_share(space):
        return steps
    first, last = space.ends({})
    low, high = (math.log(first), math.log(last)) if space.log else (first, last)
    values = [low + step * (high - low) for step in steps]
    if space.log:
        values = [math.exp(value) for value in values]
    values = [min(max(value, first), last) for value in values]
    return sorted({round(value) for value in values}) if space.integer else values
