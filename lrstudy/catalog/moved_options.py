"""Optimizer options that a study file can move beside the rate: momentum and weight decay.

``momentum = { from = 0.85, to = 0.95 }`` under a schedule is kept as one parameter for each key of the table,
``momentum.from`` and ``momentum.to``, so that each can be searched like the schedule's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from lrstudy.catalog.lipschitz_schedule import LIPSCHITZ_LR
from lrstudy.catalog.parameter import Component, Parameter
from lrstudy.errors import Problem

MOMENTUM: Final = "momentum"
WEIGHT_DECAY: Final = "weight_decay"


def _option(name: str, doc: str, title: str, bounds: str, ends: tuple[Parameter, Parameter]) -> Component:
    named = (
        replace(
            end,
            name=f"{name}.{end.name}",
            doc=f"{title} {end.doc}, {bounds}; the optimizer's own if not given",
        )
        for end in ends
    )
    return Component(
        name,
        f"{doc}, {bounds}.",
        (
            *named,
            Parameter(
                f"{name}.shape",
                "choice",
                "Curve between the two values: linear, cosine, exponential",
                "linear",
                choices=("linear", "cosine", "exponential"),
            ),
            Parameter(
                f"{name}.start",
                "float",
                "Fraction of the training length before which it stays at from, in [0, 1)",
                0.0,
                0.0,
                1.0,
                open_high=True,
            ),
            Parameter(
                f"{name}.end",
                "float",
                "Fraction of the training length after which it stays at to, in (0, 1]",
                1.0,
                0.0,
                1.0,
                open_low=True,
            ),
        ),
    )


def _ends(low: float, high: float, *, open_: bool) -> tuple[Parameter, Parameter]:
    first = Parameter("from", "float", "at the first step", None, low, high, open_, open_)
    return first, replace(first, name="to", doc="after the last step")


MOVED_OPTIONS: Final = MappingProxyType(
    {
        MOMENTUM: _option(
            MOMENTUM,
            "The momentum (Adam: beta1) of all parameter groups",
            "Momentum",
            "in (0, 1)",
            # Never 0: an SGD without momentum keeps no buffer with which it could begin or continue.
            _ends(0.0, 1.0, open_=True),
        ),
        WEIGHT_DECAY: _option(
            WEIGHT_DECAY,
            "The parameter groups' weight decay, in the ratios of their own",
            "Weight decay of the group with the largest",
            "at least 0",
            _ends(0.0, math.inf, open_=False),
        ),
    }
)


def find_parameter(component: Component | None, name: str) -> Parameter | None:
    """Return a schedule's parameter of that name, or that of an option it moves; None for any other.

    >>> find_parameter(None, "momentum.from").open_low
    True
    """
    option = MOVED_OPTIONS.get(name.partition(".")[0]) if "." in name else None
    owner = component if option is None else option
    return None if owner is None else owner.parameter(name)


def names_moved(names: Iterable[str]) -> list[str]:
    """Return the options that parameters of these names move.

    >>> names_moved(["lr", "momentum.from", "momentum.to"])
    ['momentum']
    """
    given = {name.partition(".")[0] for name in names if "." in name}
    return [option for option in MOVED_OPTIONS if option in given]


def flat_moves(table: Mapping[str, Any], *, own: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield a schedule's keys and values with each table of a moved option as one key for each key in it.

    If ``own``, the schedule is a user's: a range or a value for such a name is for its own parameter.

    >>> dict(flat_moves({"lr": 0.1, "momentum": {"from": 0.8, "to": 0.9}}))
    {'lr': 0.1, 'momentum.from': 0.8, 'momentum.to': 0.9}
    """
    for name, value in table.items():
        is_table = name in MOVED_OPTIONS and isinstance(value, Mapping)
        if is_table and value and not (own and "low" in value):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def refusal(component: Component | None, option: str) -> str | None:
    """Return the reason why an option cannot move under a schedule (None: a user's own), or None."""
    if component is None:
        return None
    if component.name == LIPSCHITZ_LR.name:
        return f"cannot move under {component.name!r}, whose rule takes it for constant"
    if option == MOMENTUM and component.replaces_optimizer:
        return f"cannot move under {component.name!r}, which comes with its own optimizer"
    return None


def move_problems(
    component: Component | None, given: Mapping[str, Any], *, searched: Iterable[str] = (), where: str = ""
) -> Iterator[Problem]:
    """Yield what keeps the options in ``given`` from moving under a schedule.

    ``given`` are values that are sound each by itself, ``searched`` the names of parameters without one yet.
    """
    names = [*given, *searched]
    for option in names_moved(names):
        if (reason := refusal(component, option)) is not None:
            remedy = f"Leave it out, and give [task] optimizer a constant {option}."
            yield Problem(where, option, reason, remedy)
            continue
        if option == MOMENTUM and given.get("cycle_momentum"):
            message = "is moved by cycle_momentum already"
            yield Problem(where, option, message, "Leave one of the two out.")
        if f"{option}.from" not in names and f"{option}.to" not in names:
            yield Problem(where, option, "does not move", "Give from, to or both.")
        yield from _shape_problems(option, given, where)


def _shape_problems(option: str, given: Mapping[str, Any], where: str) -> Iterator[Problem]:
    start, end = given.get(f"{option}.start", 0.0), given.get(f"{option}.end", 1.0)
    if start >= end:
        message = f"is not below {option}.end, {end:g}"
        yield Problem(where, f"{option}.start", message, "Lower it, or raise end.", start)
    if given.get(f"{option}.shape") == "exponential":
        for key in (f"{option}.from", f"{option}.to"):
            if given.get(key) == 0.0:
                message, remedy = "must be above 0 on an exponential", "Raise it, or choose another shape."
                yield Problem(where, key, message, remedy, given[key])
