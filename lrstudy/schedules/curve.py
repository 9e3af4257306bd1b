"""A schedule's curve as plain data, computed without a model: for listings and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import Problem, SchedulerError
from lrstudy.rules.user_modules import UserCode, guard
from lrstudy.schedules.curve_builder import stand_in
from lrstudy.schedules.option_moves import check_moves, read_moves, split_moves
from lrstudy.schedules.protocol import ScheduleContext
from lrstudy.schedules.schedule_registry import build_schedule
from lrstudy.schedules.torch_schedule import DirectSchedule


@dataclass(frozen=True, slots=True)
class Curve:
    """The rate of every step of a training: ``epochs[i]`` is how many epochs are done at step ``i``.

    ``options`` are the values of the optimizer options that move beside the rate.
    """

    kind: str
    params: dict[str, Any]
    epochs: tuple[float, ...]
    rates: tuple[float, ...]
    options: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The curve as plain JSON data."""
        return {
            "kind": self.kind,
            "params": self.params,
            "epochs": list(self.epochs),
            "rates": list(self.rates),
            **{option: list(values) for option, values in self.options.items()},
        }


def has_curve(kind: str) -> bool:
    """Return True if a kind's rates are known before training: they depend on nothing that it measures."""
    component = SCHEDULES.get(kind)
    return component is not None and not component.measured and not component.replaces_optimizer


def rates(
    kind: str, params: Mapping[str, Any], epochs: int, steps_per_epoch: int, lr: float = 0.1
) -> list[float]:
    """The rate of every step, ``epochs * steps_per_epoch`` of them.

    ``lr`` is the optimizer's own rate, used where ``params`` gives none. Raises
    ``SchedulerError`` for a kind without a curve (see ``has_curve``) and for unusable parameters.
    """
    if ":" not in kind and kind in SCHEDULES and not has_curve(kind):
        raise _no_curve(kind)
    if epochs < 1 or steps_per_epoch < 1:
        message = "a training has at least one epoch of one step"
        raise SchedulerError(Problem("schedule", "epochs", message, "Raise it.", (epochs, steps_per_epoch)))
    optimizer = stand_in(lr)
    higher = params.get("mode", "min") != "min"  # no metric is measured: a plateau scheduler's own direction
    context = ScheduleContext(
        optimizer, nn.Identity(), "", {}, epochs, steps_per_epoch, list, seed=0, higher_is_better=higher
    )
    own, _ = split_moves(params)
    schedule = build_schedule(kind, own, context)
    if isinstance(schedule, DirectSchedule) and isinstance(schedule.scheduler, ReduceLROnPlateau):
        raise _no_curve(kind)
    found: list[float] = []
    code = UserCode(kind, "schedule", "kind")
    with guard(
        code, lambda: f"after step {len(found)} of {context.total_steps} it", "Correct its parameters."
    ):
        for _ in range(epochs):
            for _ in range(steps_per_epoch):
                found.append(float(schedule.optimizer.param_groups[0]["lr"]))
                schedule.optimizer.step()
                schedule.after_step()
            schedule.after_epoch(None)
    schedule.close()
    return found


def _no_curve(kind: str) -> SchedulerError:
    message = "has no curve before training: its rates depend on measurements in training"
    remedy = f"Kinds that have one: {', '.join(filter(has_curve, SCHEDULES))}."
    return SchedulerError(Problem("schedule", "kind", message, remedy, kind))


def curve(kind: str, params: Mapping[str, Any], epochs: int, steps_per_epoch: int, lr: float = 0.1) -> Curve:
    """A schedule's curve with its axis; arguments and errors are those of ``rates``."""
    found = rates(kind, params, epochs, steps_per_epoch, lr)
    axis = tuple(step / steps_per_epoch for step in range(len(found)))
    return Curve(kind, dict(params), axis, tuple(found), _options(kind, params, len(found)))


def _options(kind: str, params: Mapping[str, Any], steps: int) -> dict[str, tuple[float, ...]]:
    """The values of the options that move at every step; both of their ends have to be given."""
    check_moves(kind, SCHEDULES.get(kind), params)
    moves = read_moves(kind, split_moves(params)[1], steps, {})
    return {option: tuple(map(move.at, range(steps))) for option, move in moves.items()}
