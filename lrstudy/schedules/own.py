"""Users' own schedules: ``kind = "module:attribute"``.

The attribute is called with the optimizer and the study file's parameters, and returns a
``torch.optim.lr_scheduler.LRScheduler``; torch's own classes do as they are::

    kind = "torch.optim.lr_scheduler:StepLR"
    step_size = 30

A callable with a parameter named ``context`` is given the ``ScheduleContext`` as well. Three keys are
lrstudy's and are not passed on: ``lr`` (the rate that the optimizer starts at), ``warmup`` (the fraction
of the training over which the rate rises to the schedule's, which runs meanwhile) and ``interval``
(``"step"`` or ``"epoch"``: when the scheduler moves; otherwise the callable's own ``interval``, or
``"epoch"``). ``ReduceLROnPlateau`` hears the study's metric.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from torch.optim.lr_scheduler import LRScheduler

from lrstudy.catalog import Component, Parameter
from lrstudy.errors import ContractError, Problem, SchedulerError
from lrstudy.schedules.contract import ScheduleContext
from lrstudy.schedules.direct import DirectSchedule
from lrstudy.schedules.groups import Groups
from lrstudy.schedules.plan import warmup_length

_RESERVED: Final = Component(
    "own",
    "",
    (
        Parameter("lr", "float", "Rate that the optimizer starts at, above 0", None, low=0.0, open_low=True),
        Parameter(
            "warmup", "float", "Fraction of the training length, in [0, 1)", 0.0, 0.0, 1.0, open_high=True
        ),
        Parameter("interval", "choice", "step or epoch", None, choices=("step", "epoch")),
    ),
)


def build_own(kind: str, params: Mapping[str, Any], context: ScheduleContext) -> DirectSchedule:
    """Build a user's own schedule; raises ``ContractError`` where it cannot be loaded or called."""
    factory = _load(kind)
    reserved = {p.name: params.get(p.name, p.default) for p in _RESERVED.parameters}
    for parameter in _RESERVED.parameters:
        if (message := parameter.problem(reserved[parameter.name])) is not None:
            where, remedy = f"schedule {kind}", f"{parameter.doc}."
            raise SchedulerError(Problem(where, parameter.name, message, remedy, reserved[parameter.name]))
    arguments = {name: value for name, value in params.items() if name not in reserved}
    if "context" in _parameter_names(factory):
        arguments["context"] = context
    groups = Groups(context.optimizer)
    if reserved["lr"] is not None:
        groups.set_rate(reserved["lr"])
    scheduler = _call(kind, factory, context, arguments)
    interval = reserved["interval"] or getattr(factory, "interval", "epoch")
    return DirectSchedule(
        scheduler, interval, warmup_length(reserved["warmup"], context.total_steps), context
    )


def _load(kind: str) -> Callable[..., Any]:
    module, _, attribute = kind.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        remedy = "Write module:attribute, and have the module where Python finds it (PYTHONPATH)."
        raise ContractError(
            Problem("schedule", "kind", f"cannot be loaded: {error}", remedy, kind)
        ) from error
    if not callable(found):
        remedy = "Name a class or function that takes an optimizer and returns an LRScheduler."
        raise ContractError(Problem("schedule", "kind", "cannot be called", remedy, kind))
    return found


def _parameter_names(factory: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(factory).parameters)
    except ValueError:  # some callables written in C have no signature
        return set()


def _call(
    kind: str, factory: Callable[..., Any], context: ScheduleContext, arguments: dict[str, Any]
) -> LRScheduler:
    try:
        scheduler = factory(context.optimizer, **arguments)
    except (TypeError, ValueError) as error:  # how Python and torch refuse arguments
        message, remedy = f"refuses its parameters: {error}", "Correct them in the study file."
        raise ContractError(Problem("schedule", "kind", message, remedy, kind)) from error
    if not isinstance(scheduler, LRScheduler):
        message = f"returned {type(scheduler).__name__}"
        remedy = "Return a torch.optim.lr_scheduler.LRScheduler."
        raise ContractError(Problem("schedule", "kind", message, remedy, kind))
    return scheduler
