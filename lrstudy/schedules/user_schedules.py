"""Users' own schedules: ``kind = "module:attribute"``.

The attribute is called with the optimizer and the study file's parameters, and returns a
``torch.optim.lr_scheduler.LRScheduler``; torch's own classes do as they are::

    kind = "torch.optim.lr_scheduler:StepLR"
    step_size = 30

A callable with a parameter named ``context`` is given the ``ScheduleContext`` as well. Three keys are
lrstudy's and are not passed on: ``lr`` (the rate that the optimizer starts at), ``warmup`` (the fraction
of the training over which the rate rises to the schedule's, which already runs) and ``interval``, what the
scheduler counts: with ``"step"`` it moves after every optimizer step, with ``"epoch"`` after every epoch.
torch's own classes need no ``interval``; any other schedule needs it here or as an attribute of the callable.
``ReduceLROnPlateau`` hears the study's metric after every epoch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from lrstudy.catalog.schedule_kinds import OWN
from lrstudy.errors import ContractError, Problem, SchedulerError
from lrstudy.rules.user_modules import UserCode, call, load
from lrstudy.rules.values import as_lists
from lrstudy.schedules.curve_builder import Interval, warmup_length
from lrstudy.schedules.param_groups import Groups
from lrstudy.schedules.protocol import ScheduleContext
from lrstudy.schedules.torch_schedule import DirectSchedule

_BY_STEPS: Final = (OneCycleLR, CyclicLR)
_TORCH: Final = "torch.optim.lr_scheduler"


def build_own(kind: str, params: Mapping[str, Any], context: ScheduleContext) -> DirectSchedule:
    """Build a user's own schedule; raises ``ContractError`` where it cannot be loaded or called."""
    code = UserCode(kind, "schedule", "kind")
    factory = load(code)
    reserved = OWN.complete(params)
    for parameter in OWN.parameters:
        if (message := parameter.problem(reserved[parameter.name])) is not None:
            where, remedy = f"schedule {kind}", f"{parameter.doc}."
            raise SchedulerError(Problem(where, parameter.name, message, remedy, reserved[parameter.name]))
    # A list of the study file is a list, whether it comes from there or from a store.
    arguments = {name: as_lists(value) for name, value in params.items() if name not in reserved}
    groups = Groups(context.optimizer)
    if reserved["lr"] is not None:
        groups.set_rate(reserved["lr"])
    scheduler = _build(code, factory, context, arguments)
    given = reserved["interval"] or getattr(factory, "interval", None)
    interval = _checked(code, given or _known_interval(factory, scheduler), scheduler)
    _check_direction(code, scheduler, context)
    warmup_steps = warmup_length(reserved["warmup"], context.total_steps)
    return DirectSchedule(scheduler, interval, warmup_steps, context)


def _known_interval(factory: Callable[..., Any], scheduler: LRScheduler) -> Interval | None:
    """Return what a scheduler of torch's own counts; None for a user's, which may count anything."""
    if isinstance(scheduler, _BY_STEPS):
        return "step"
    if isinstance(scheduler, ReduceLROnPlateau) or getattr(factory, "__module__", None) == _TORCH:
        return "epoch"
    return None


def _checked(code: UserCode, interval: Any, scheduler: LRScheduler) -> Interval:
    if interval not in ("step", "epoch"):
        attribute = code.name.partition(":")[2]
        message = "is not given, and lrstudy cannot know what the schedule counts"
        if interval is not None:
            message = f"is {interval!r} in the module"
        remedy = (
            'Add interval = "step" if it counts optimizer steps, or interval = "epoch" if it counts epochs, '
            f"to the schedule in the study file; or set {attribute}.interval so in the module."
        )
        raise ContractError(Problem(f"schedule {code.name}", "interval", message, remedy))
    if interval == "step" and isinstance(scheduler, ReduceLROnPlateau):
        message = "uses a metric, which is measured once per epoch"
        raise ContractError(
            Problem(f"schedule {code.name}", "interval", message, 'Write interval = "epoch".', interval)
        )
    checked: Interval = interval
    return checked


def _check_direction(code: UserCode, scheduler: LRScheduler, context: ScheduleContext) -> None:
    if not isinstance(scheduler, ReduceLROnPlateau):
        return
    mode = "max" if context.higher_is_better else "min"
    if scheduler.mode != mode:
        better = "higher" if context.higher_is_better else "lower"
        message = f"expects the wrong direction: the study's metric is better when {better}"
        remedy = f'Add mode = "{mode}".'
        raise ContractError(Problem(f"schedule {code.name}", "mode", message, remedy, scheduler.mode))


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
