"""Declarations of the parameters of a component (a schedule, model, …). Standard library only.

A study file is checked against these declarations before anything heavy is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from lrstudy.errors import Problem, did_you_mean

ParameterType = Literal["float", "int", "bool", "choice", "text", "floats", "ints"]

REQUIRED: Final = object()
RANGE_TEST: Final = "range-test"  # in place of a rate's search space: a range test finds it


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a component.

    ``low`` and ``high`` bound a number, or every element of a list (``floats``, ``ints``); ``open_low``
    and ``open_high`` exclude the bound itself. ``default`` is ``REQUIRED`` where the user must give it;
    a default of None means "not in effect". ``choices`` are the values of a ``choice``. ``text_choices``
    are words that may replace a search space (``max_lr = "range-test"``). ``tunable`` says
    whether a study file may give a search space.
    """

    name: str
    type: ParameterType
    doc: str
    default: object = REQUIRED
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    text_choices: tuple[str, ...] = ()
    tunable: bool = True

    def problem(self, value: object) -> str | None:
        """Return the reason to refuse a concrete value, or None.

        >>> Parameter("lr", "float", "", low=0.0, open_low=True).problem(-1)
        'must be above 0'
        """
        if value is None and self.default is None:
            return None
        match self.type:
            case "bool":
                return None if isinstance(value, bool) else "must be true or false"
            case "text":
                return None if isinstance(value, str) and value else "must be a non-empty text"
            case "choice":
                ok = isinstance(value, str) and value in self.choices
                return None if ok else f"must be one of {', '.join(map(repr, self.choices))}"
            case "float" | "int":
                return self._number_problem(value)
            case "floats" | "ints":
                if not isinstance(value, list | tuple):
                    return "must be a list of numbers"
                return next(filter(None, map(self._number_problem, value)), None)

    def _number_problem(self, value: object) -> str | None:
        whole = self.type in ("int", "ints")
        kind = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return f"must be {kind}"
        assert isinstance(value, int | float)
        if not math.isfinite(value):
            return "must be finite"
        if value < self.low or (self.open_low and value == self.low):
            return f"must be {'above' if self.open_low else 'at least'} {self.low:g}"
        if value > self.high or (self.open_high and value == self.high):
            return f"must be {'below' if self.open_high else 'at most'} {self.high:g}"
        return None


@dataclass(frozen=True, slots=True)
class Component:
    """A component that a study file can name, with its parameters and its source.

    The last five concern schedules. ``measured``: the rates depend on measurements in training, so they
    are unknown before it. ``open_ended``: without a warm-up they do not depend on the length of the training,
    so that a longer one begins as a shorter one does. ``tuning_free``: its authors claim that nothing needs
    tuning. ``replaces_optimizer``: it comes with its own optimizer. ``extra``: the optional dependency
    group that it needs (``pip install lrstudy[extra]``).
    """

    name: str
    doc: str
    parameters: tuple[Parameter, ...] = ()
    source: str = ""
    measured: bool = False
    open_ended: bool = False
    tuning_free: bool = False
    replaces_optimizer: bool = False
    extra: str | None = None

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value for each parameter: the given one, else its default.

        >>> Component("sgd", "", (Parameter("lr", "float", "", 0.1),)).complete({})
        {'lr': 0.1}
        """
        return {parameter.name: given.get(parameter.name, parameter.default) for parameter in self.parameters}

    def problems(
        self, given: Mapping[str, Any], where: str, unknown: str, prefix: str = ""
    ) -> Iterator[Problem]:
        """Yield what is wrong with values for its parameters; ``unknown`` says so of one that it has not.

        ``where`` is that of a ``Problem``, and ``prefix`` comes before each of its keys.
        """
        known = [parameter.name for parameter in self.parameters]
        for name, value in given.items():
            parameter = self.parameter(name)
            if parameter is None:
                hint = did_you_mean(name, known) if known else f"{self.name} has no options."
                yield Problem(where, prefix + name, unknown, hint, value)
            elif (message := parameter.problem(value)) is not None:
                yield Problem(where, prefix + name, message, f"{parameter.doc}.", value)
        for parameter in self.parameters:
            if parameter.default is REQUIRED and parameter.name not in given:
                yield Problem(where, prefix + parameter.name, "is missing", f"{parameter.doc}.")


def by_name(*components: Component) -> Mapping[str, Component]:
    """Return the components by their names, in their order."""
    return MappingProxyType({component.name: component for component in components})


def fraction(name: str, doc: str, default: float, *, open_low: bool = False) -> Parameter:
    """Return a parameter in [0, 1), or (0, 1) where 0 makes no sense."""
    return Parameter(name, "float", doc, default, 0.0, 1.0, open_low, open_high=True, tunable=False)
