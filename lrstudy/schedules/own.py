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

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from torch.optim.lr_scheduler import LRScheduler

from lrstudy.catalog import Component, Parameter
from lrstudy.errors import Problem, SchedulerError
from lrstudy.rules.user_modules import UserCode, call, load
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
    code = UserCode(kind, "schedule", "kind")
    factory = load(code)
    reserved = {p.name: params.get(p.name, p.default) for p in _RESERVED.parameters}
    for parameter in _RESERVED.parameters:
        if (message := parameter.problem(reserved[parameter.name])) is not None:
            where, remedy = f"schedule {kind}", f"{parameter.doc}."
            raise SchedulerError(Problem(where, parameter.name, message, remedy, reserved[parameter.name]))
    arguments = {name: value for name, value in params.items() if name not in reserved}
    groups = Groups(context.optimizer)
    if reserved["lr"] is not None:
        groups.set_rate(reserved["lr"])
    scheduler = _build(code, factory, context, arguments)
    interval = reserved["interval"] or getattr(factory, "interval", "epoch")
    return DirectSchedule(
        scheduler, interval, warmup_length(reserved["warmup"], context.total_steps), context
    )


def _parameter_names(factory: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(factory).parameters)
    except ValueError:  # some callables written in C have no signature
        return set()


def _build(
    code: UserCode, factory: Callable[..., Any], context: ScheduleContext, params: dict[str, Any]
) -> LRScheduler:
    with_context = {"context": context} if "context" in _parameter_names(factory) else {}
    options = params | with_context
    scheduler = call(code, factory, context.optimizer, options=options, seed=context.seed, shown=list(params))
    if not isinstance(scheduler, LRScheduler):
        message = f"returned {type(scheduler).__name__}"
        code.refuse(message, "Return a torch.optim.lr_scheduler.LRScheduler.")
    return scheduler
