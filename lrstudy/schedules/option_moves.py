"""Momentum and weight decay that move beside the rate, under any schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor
from torch.optim import Optimizer

from lrstudy.catalog.moved_options import (
    MOMENTUM,
    MOVED_OPTIONS,
    WEIGHT_DECAY,
    find_parameter,
    move_problems,
    names_moved,
)
from lrstudy.catalog.parameter import Component
from lrstudy.errors import Problem, SchedulerError
from lrstudy.schedules.param_groups import has_momentum, read_momentum, set_momentum
from lrstudy.schedules.protocol import Measurement, Schedule

Values = dict[str, Any]


def split_moves(params: Mapping[str, Any]) -> tuple[Values, Values]:
    """Return a schedule's own parameters, and those of the options that move beside its rate."""
    moves = {name: value for name, value in params.items() if names_moved([name])}
    return {name: value for name, value in params.items() if name not in moves}, moves


def check_moves(kind: str, component: Component | None, params: Mapping[str, Any]) -> None:
    """Raise ``SchedulerError`` with every problem of the options that ``params`` let move."""
    where, problems = f"schedule {kind}", []
    for name, value in split_moves(params)[1].items():
        parameter = find_parameter(component, name)
        if parameter is None:
            problems.append(Problem(where, name, "is not a part of a move", _parts(name), value))
        elif (message := parameter.problem(value)) is not None:
            problems.append(Problem(where, name, message, f"{parameter.doc}.", value))
    problems = problems or list(move_problems(component, params, where=where))
    if problems:
        raise SchedulerError(problems)


def _parts(name: str) -> str:
    option = MOVED_OPTIONS[name.partition(".")[0]]
    return f"Known: {', '.join(parameter.name for parameter in option.parameters)}."


@dataclass(frozen=True, slots=True)
class Move:
    """The value of an option at each of ``steps`` steps: ``first`` to ``start``, ``last`` from ``end`` on."""

    first: float
    last: float
    shape: str
    start: float
    end: float
    steps: int

    def at(self, step: int) -> float:
        """Return the value at a step, counted from 0."""
        way = (step / self.steps - self.start) / (self.end - self.start)
        if way <= 0.0:
            return self.first
        if way >= 1.0:
            return self.last
        if self.shape == "exponential":
            return self.first * math.exp(way * math.log(self.last / self.first))
        if self.shape == "cosine":
            way = (1.0 - math.cos(math.pi * way)) / 2.0
        return self.first + (self.last - self.first) * way


def read_moves(kind: str, moves: Mapping[str, Any], steps: int, own: Mapping[str, float]) -> dict[str, Move]:
    """Return the move of each option in ``moves``; ``own`` are the optimizer's own values.

    Raises ``SchedulerError`` for an end that is neither given nor the optimizer's.
    """
    read = {}
    for option in names_moved(moves):
        values = MOVED_OPTIONS[option].complete(moves)
        for end in ("from", "to"):
            if values[f"{option}.{end}"] is None:
                values[f"{option}.{end}"] = _own_end(kind, option, end, own.get(option))
        read[option] = Move(
            first=float(values[f"{option}.from"]),
            last=float(values[f"{option}.to"]),
            shape=values[f"{option}.shape"],
            start=float(values[f"{option}.start"]),
            end=float(values[f"{option}.end"]),
            steps=steps,
        )
        if read[option].shape == "exponential" and not (read[option].first and read[option].last):
            message = "must be above 0 on an exponential, and is 0 in the optimizer"
            raise SchedulerError(Problem(f"schedule {kind}", option, message, "Give both from and to."))
    return read


def _own_end(kind: str, option: str, end: str, value: float | None) -> float:
    parameter = MOVED_OPTIONS[option].parameter(f"{option}.{end}")
    assert parameter is not None
    problem = "is not known here" if value is None else parameter.problem(value)
    if problem is None and value is not None:
        return value
    message = f"is not given, and the optimizer's own {option} {problem}"
    where = f"schedule {kind}"
    raise SchedulerError(Problem(where, parameter.name, message, f"Give it: {option}.{end} = …"))


class _Momentum:
    """The momentum, or Adam's beta1, of all groups, which is the same."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        if not has_momentum(optimizer):
            raise _without(MOMENTUM, optimizer)
        values = {read_momentum(group) for group in optimizer.param_groups}
        if len(values) > 1:
            message, remedy = "differs between the parameter groups", "Give all groups the same momentum."
            raise SchedulerError(Problem("optimizer", MOMENTUM, message, remedy, sorted(values)))
        (self.own,) = values

    def write(self, value: float) -> None:
        set_momentum(self._optimizer, value)


class _WeightDecay:
    """The groups' weight decay, steered by the largest; all decay alike where none does yet."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not all("weight_decay" in group for group in optimizer.param_groups):
            raise _without(WEIGHT_DECAY, optimizer)
        decays = [float(group["weight_decay"]) for group in optimizer.param_groups]
        self.own = max(decays)
        self._optimizer = optimizer
        self._ratios = [decay / self.own if self.own else 1.0 for decay in decays]

    def write(self, value: float) -> None:
        for group, ratio in zip(self._optimizer.param_groups, self._ratios, strict=True):
            group["weight_decay"] = value * ratio


_OPTIONS: Final[dict[str, type[_Momentum | _WeightDecay]]] = {
    MOMENTUM: _Momentum,
    WEIGHT_DECAY: _WeightDecay,
}


def _without(option: str, optimizer: Optimizer) -> SchedulerError:
    message = f"cannot move: {type(optimizer).__name__} has none"
    return SchedulerError(Problem("schedule", option, message, "Leave it out, or use another optimizer."))


class MovingOptions:
    """A schedule, and options of its optimizer that move beside its rate: a ``Schedule`` itself."""

    def __init__(self, kind: str, schedule: Schedule, moves: Mapping[str, Any], total_steps: int) -> None:
        self.schedule = schedule
        self._options = {option: _OPTIONS[option](schedule.optimizer) for option in names_moved(moves)}
        own = {option: values.own for option, values in self._options.items()}
        self._moves = read_moves(kind, moves, total_steps, own)
        self._total_steps = total_steps
        self._step = 0
        self._apply()

    @property
    def optimizer(self) -> Optimizer:
        """The schedule's."""
        return self.schedule.optimizer

    @property
    def rate(self) -> float:
        """The schedule's."""
        return self.schedule.rate

    @property
    def measurement(self) -> Measurement:
        """The schedule's."""
        return self.schedule.measurement

    @property
    def needs_loss(self) -> bool:
        """Return True if the schedule needs the loss of each step."""
        return self.schedule.needs_loss

    def before_step(self, loss: Tensor) -> None:
        """Pass the loss on."""
        self.schedule.before_step(loss)

    def after_step(self) -> None:
        """Set the rate and the options of the next step; after the last one they stay."""
        self.schedule.after_step()
        self._step += 1
        if self._step < self._total_steps:
            self._apply()

    def after_epoch(self, metric: float | None) -> None:
        """Pass the metric on."""
        self.schedule.after_epoch(metric)

    def before_training(self) -> None:
        """Put the training weights in place."""
        self.schedule.before_training()

    def before_evaluation(self) -> None:
        """Put the weights to evaluate in place."""
        self.schedule.before_evaluation()

    def take_estimate_seconds(self) -> float:
        """Seconds that the schedule spent on measuring since the last call."""
        return self.schedule.take_estimate_seconds()

    def state_dict(self) -> dict[str, Any]:
        """The position and the schedule's state; the options follow from the position."""
        return {"step": self._step, "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        self.schedule.load_state_dict(state["schedule"])
        self._step = state["step"]
        self._apply()

    def close(self) -> None:
        """Remove what the schedule attached."""
        self.schedule.close()

    def _apply(self) -> None:
        step = min(self._step, self._total_steps - 1)
        for option, move in self._moves.items():
            self._options[option].write(move.at(step))
