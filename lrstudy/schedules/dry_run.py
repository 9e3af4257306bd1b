"""A user's own schedule taken through a whole training without training: what its rates would be."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lrstudy.rules.user_modules import UserCode, guard
from lrstudy.schedules.curve_builder import quiet
from lrstudy.schedules.option_moves import split_moves
from lrstudy.schedules.protocol import ScheduleContext
from lrstudy.schedules.torch_schedule import DirectSchedule
from lrstudy.schedules.user_schedules import build_own

_METRIC: Final = 0.5  # what a plateau scheduler hears after every epoch
STATE_REMEDY: Final = (
    "Compute each rate from last_epoch, or keep what changes in attributes that its state_dict holds: an "
    "interrupted trial continues from that."
)


@dataclass(slots=True)
class DryRun:
    """The first group's rate at each step walked, and what else the walk showed.

    ``bad`` is the first rate that no optimizer can use, with its step. ``momentum`` is what the schedule
    changed it from and to.
    """

    rates: list[float] = field(default_factory=list)
    bad: tuple[int, float] | None = None
    momentum: tuple[Any, Any] | None = None

    @property
    def zero_from(self) -> int | None:
        """The step from which on every rate is 0, if there is one."""
        above = [step for step, rate in enumerate(self.rates) if rate != 0.0]
        first = above[-1] + 1 if above else 0
        return first if first < len(self.rates) else None


def dry_run(
    code: UserCode, params: Mapping[str, Any], context: Callable[[], ScheduleContext], steps: int
) -> DryRun:
    """Build the schedule and move it over up to ``steps`` steps of the training, as a training does.

    Raises ``ContractError`` where it raises, steers another optimizer, or cannot be saved. ``context``
    makes a new optimizer at each call.
    """
    params, _ = split_moves(params)
    at_work = context()
    momentum = _momentum(at_work)
    found = DryRun()
    schedule = build_own(code.name, params, at_work)
    if schedule.scheduler.optimizer is not at_work.optimizer:
        remedy = "Build the scheduler over the optimizer that is passed, at each call."
        code.refuse("controls another optimizer than the training's", remedy)
    quiet(schedule.scheduler)

    def doing() -> str:
        done = len(found.rates)
        epoch = (done - 1) // at_work.steps_per_epoch + 1
        return f"after step {done} of {at_work.total_steps} (epoch {epoch}) it"

    remedy = "Make it last as long as the training, or correct its parameters."
    with guard(code, doing, remedy), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would come again in the training
        for _ in _walk(schedule, at_work, found, steps):
            for group in at_work.optimizer.param_groups:
                rate = float(group["lr"])
                if not (math.isfinite(rate) and rate >= 0.0) and found.bad is None:
                    found.bad = len(found.rates), rate
        schedule.state_dict()
    if _momentum(at_work) != momentum:
        found.momentum = momentum[0], _momentum(at_work)[0]
    schedule.close()
    return found


def _walk(schedule: DirectSchedule, context: ScheduleContext, found: DryRun, steps: int) -> Iterator[None]:
    """Move over the steps after those that were found, up to ``steps``; begins and ends with an epoch."""
    for _ in range(len(found.rates) // context.steps_per_epoch, context.epochs):
        for _ in range(context.steps_per_epoch):
            if len(found.rates) == steps or found.bad is not None:
                return
            found.rates.append(schedule.rate)
            yield
            schedule.after_step()
        schedule.after_epoch(_METRIC)


def _momentum(context: ScheduleContext) -> list[Any]:
    return [
        group["betas"][0] if "betas" in group else group.get("momentum")
        for group in context.optimizer.param_groups
    ]


def is_random(first: DryRun, again: Callable[[], DryRun]) -> bool:
    """Return True if the rates depend on random states that a trial neither sets nor saves."""
    with _other_random_states():
        return again().rates != first.rates


def continues(
    first: DryRun, code: UserCode, params: Mapping[str, Any], context: Callable[[], ScheduleContext]
) -> bool:
    """Return True if a schedule that is saved after half of the epochs continues with its rates."""
    params, _ = split_moves(params)
    before, after = context(), context()
    half = before.epochs // 2 * before.steps_per_epoch
    if not 0 < half < len(first.rates):
        return True
    found = DryRun()
    with guard(code, lambda: "saved and loaded, it", STATE_REMEDY), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved, loaded = (build_own(code.name, params, at_work) for at_work in (before, after))
        for schedule in (saved, loaded):
            quiet(schedule.scheduler)
        for _ in _walk(saved, before, found, half):
            pass
        after.optimizer.load_state_dict(before.optimizer.state_dict())
        loaded.load_state_dict(saved.state_dict())
        for _ in _walk(loaded, after, found, len(first.rates)):
            pass
        saved.close()
        loaded.close()
    return np.allclose(found.rates, first.rates, rtol=1e-9, atol=0.0)


@contextmanager
def _other_random_states() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' code draws from it
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
