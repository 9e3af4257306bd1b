"""Search spaces as data: what a study file may give in place of a value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrstudy.catalog import RANGE_TEST, Parameter
from lrstudy.errors import did_you_mean
from lrstudy.rules.values import as_tuples, equal

_PLAIN = "Give a finite number, a text, true, false, or lists and tables of these."


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers from ``low`` to ``high``, both included; ``log`` searches their logarithm.

    An end may be the name of another parameter of the same schedule: the range then ends at that one's
    value (``base_lr`` below ``max_lr``). ``tested``: a range test narrows it before the search begins; the
    ends are those of the test.
    """

    low: float | str
    high: float | str
    log: bool = False
    integer: bool = False
    tested: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that its ends name."""
        return tuple(end for end in (self.low, self.high) if isinstance(end, str))

    def ends(self, params: Mapping[str, Any]) -> tuple[float, float]:
        """Its ends as numbers, where ``params`` holds the parameters that they name."""
        low, high = (float(params[end]) if isinstance(end, str) else end for end in (self.low, self.high))
        return low, high

    def to_json(self) -> dict[str, Any] | str:
        """The form it has in a study file."""
        if self.tested:
            return RANGE_TEST
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class Choices:
    """A set of values to choose from, in the order of the study file."""

    values: tuple[Any, ...]

    def index(self, value: Any) -> int:
        """The place of a value, as the study file or a store gives it; ``ValueError`` for another."""
        for place, choice in enumerate(self.values):
            if equal(choice, value):
                return place
        raise ValueError(f"{value!r} is none of the choices")

    def to_json(self) -> list[Any]:
        """The form it has in a study file."""
        return list(self.values)


Space = Range | Choices


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem with one value of a study file, before its place is known."""

    key: str
    message: str
    remedy: str
    value: Any


def read_value(key: str, raw: Any, parameter: Parameter | None) -> Any | Space | list[Trouble]:
    """Read what a study file gives for one parameter: a fixed value, a ``Range`` or ``Choices``.

    A table is a range, a list is a set of choices. Where the parameter itself is a list of numbers, a
    flat list is one fixed value and a list of lists is a set of choices. ``parameter`` None (a user's
    own schedule) accepts any value; a range of it with two whole ends holds whole numbers. Returns a
    list of ``Trouble`` when the value cannot be used.
    """
    if isinstance(raw, dict):
        troubles = list(_range_troubles(key, raw, parameter))
        if troubles:
            return troubles
        whole = isinstance(raw["low"], int) and isinstance(raw["high"], int)
        integer = whole if parameter is None else parameter.type in ("int", "ints")
        return Range(raw["low"], raw["high"], raw.get("log", False), integer)
    if isinstance(raw, list) and not _is_one_value(raw, parameter):
        troubles = list(_choice_troubles(key, raw, parameter))
        return troubles or Choices(tuple(as_tuples(value) for value in raw))
    message = parameter.problem(raw) if parameter is not None else None
    if message is not None:
        return [Trouble(key, message, _remedy(parameter), raw)]
    if parameter is None and (message := _unusable_value(raw)) is not None:
        return [Trouble(key, message, _PLAIN, raw)]
    return as_tuples(raw)


def _is_one_value(raw: list[Any], parameter: Parameter | None) -> bool:
    if parameter is None or parameter.type not in ("floats", "ints"):
        return False
    return not any(isinstance(item, list) for item in raw)


def _range_troubles(key: str, raw: dict[str, Any], parameter: Parameter | None) -> Iterator[Trouble]:
    if parameter is not None and not _may_be_searched(parameter, as_range=True):
        yield Trouble(key, "cannot be searched over a range", _remedy(parameter), raw)
        return
    for name in raw.keys() - {"low", "high", "log"}:
        yield Trouble(f"{key}.{name}", "is not part of a range", "A range has low, high and log.", raw[name])
    for name in ("low", "high"):
        if name not in raw:
            yield Trouble(key, f"has no {name!r}", "Write { low = …, high = …, log = true }.", raw)
            continue
        value = raw[name]
        if isinstance(value, str):
            yield from _name_troubles(f"{key}.{name}", value, parameter)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            yield Trouble(f"{key}.{name}", "must be a finite number", "Give a number.", value)
        elif parameter is not None and (message := parameter.problem(value)) is not None:
            yield Trouble(f"{key}.{name}", message, _remedy(parameter), value)
    if not isinstance(raw.get("log", False), bool):
        yield Trouble(
            f"{key}.log", "must be true or false", "Write log = true to search the logarithm.", raw["log"]
        )
    yield from _order_troubles(key, raw)


def _name_troubles(key: str, name: str, parameter: Parameter | None) -> Iterator[Trouble]:
    """Problems of an end that names a parameter, as far as they are known without the others."""
    if parameter is not None and parameter.type != "float":
        message = "only the range of a real number may end at another parameter"
        yield Trouble(key, message, "Give a number.", name)
    elif parameter is not None and name == parameter.name:
        yield Trouble(key, "names the parameter itself", "Give a number or another parameter.", name)


def reference_troubles(key: str, space: Mapping[str, Space], fixed: Mapping[str, Any]) -> Iterator[Trouble]:
    """Problems of the ranges of a schedule that end at other parameters."""
    for name, span in space.items():
        if isinstance(span, Range) and span.names:
            place = f"{key}.{name}"
            unusable = list(_unusable(place, span, space, fixed))
            yield from unusable or _crossing(place, span, space, fixed)


def _unusable(
    key: str, span: Range, space: Mapping[str, Space], fixed: Mapping[str, Any]
) -> Iterator[Trouble]:
    for end in ("low", "high"):
        name = getattr(span, end)
        if not isinstance(name, str):
            continue
        where, other = f"{key}.{end}", space.get(name)
        if name not in space and name not in fixed:
            others = {*space, *fixed} - {key.rpartition(".")[2]}
            hint = did_you_mean(name, sorted(others))
            yield Trouble(where, "is neither a number nor a parameter given for this schedule", hint, name)
        elif isinstance(other, Range) and other.names:
            remedy = "Let it end at a parameter that depends on no other."
            yield Trouble(where, f"ends at {name}, whose own range depends on a parameter", remedy, name)
        elif _extremes(name, space, fixed) is None:
            yield Trouble(where, f"ends at {name}, which is not a number", "Name a number.", name)


def _crossing(
    key: str, span: Range, space: Mapping[str, Space], fixed: Mapping[str, Any]
) -> Iterator[Trouble]:
    """A range that would be empty for some value of a parameter that it ends at."""
    ends = [
        _extremes(end, space, fixed) if isinstance(end, str) else (end, end) for end in (span.low, span.high)
    ]
    if ends[0] is None or ends[1] is None:
        return
    low, high = ends[0][1], ends[1][0]
    if low >= high:
        message = f"can be empty: low may be {low:g} where high is {high:g}"
        yield Trouble(key, message, "Keep low below every value that high can take.", span.to_json())
    elif span.log and ends[0][0] <= 0:
        yield Trouble(
            f"{key}.low", "must be above 0 on a log scale", "Raise it, or drop log = true.", span.low
        )


def _extremes(name: str, space: Mapping[str, Space], fixed: Mapping[str, Any]) -> tuple[float, float] | None:
    """The smallest and the largest value that a parameter can take; None for one that is no number."""
    span = space.get(name)
    if isinstance(span, Range):
        return span.ends({})
    values = span.values if span is not None else (fixed[name],)
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return None
    return min(values), max(values)


def _order_troubles(key: str, raw: dict[str, Any]) -> Iterator[Trouble]:
    low, high = raw.get("low"), raw.get("high")
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        return
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low > high:
        yield Trouble(key, f"low ({low:g}) is above high ({high:g})", "Swap them.", raw)
    elif low == high:
        yield Trouble(key, "low equals high", f"Write the value itself: {low:g}.", raw)
    if raw.get("log") is True and low <= 0:
        yield Trouble(f"{key}.low", "must be above 0 on a log scale", "Raise low, or drop log = true.", low)


def _choice_troubles(key: str, raw: list[Any], parameter: Parameter | None) -> Iterator[Trouble]:
    if parameter is not None and not _may_be_searched(parameter, as_range=False):
        yield Trouble(key, "cannot be searched over", _remedy(parameter), raw)
        return
    if not raw:
        yield Trouble(key, "is an empty set of choices", "Give at least one value.", raw)
    for index, value in enumerate(raw):
        message = parameter.problem(value) if parameter is not None else _unusable_value(value)
        if message is not None:
            remedy = _PLAIN if parameter is None else _remedy(parameter)
            yield Trouble(f"{key}[{index}]", message, remedy, value)
        elif any(equal(value, other) for other in raw[:index]):
            yield Trouble(f"{key}[{index}]", "is listed twice", "Name each choice once.", value)


def _may_be_searched(parameter: Parameter, *, as_range: bool) -> bool:
    return parameter.tunable and (not as_range or parameter.type in ("float", "int"))


def _remedy(parameter: Parameter | None) -> str:
    if parameter is None:
        return "Give another value."
    return f"Meaning: {parameter.doc.rstrip('.')}."


def _unusable_value(value: Any) -> str | None:
    """Name what keeps a value for a user's own schedule out of a store; None for a usable one."""
    if isinstance(value, float) and not math.isfinite(value):
        return "must be finite"
    if isinstance(value, list):
        return next(filter(None, map(_unusable_value, value)), None)
    if isinstance(value, dict):
        return next(filter(None, map(_unusable_value, value.values())), None)
    plain = value is None or isinstance(value, str | bool | int | float)
    return None if plain else f"is a {type(value).__name__}"
