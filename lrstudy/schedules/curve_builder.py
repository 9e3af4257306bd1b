"""Curves computed by torch schedulers on a stand-in optimizer, which trains nothing.

torch's schedulers set rates, momenta and helper entries in the groups of the optimizer they hold, some
of them from the rate they find there. Running them on a stand-in keeps the real optimizer's momentum
untouched, lets the warm-up and the ratios between groups be applied on top, and makes a schedule's curve
computable without a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau

from lrstudy.compat.torch import count_as_stepped, make_optimizer

Interval = Literal["step", "epoch"]


def stand_in(rate: float) -> torch.optim.SGD:
    """Return an optimizer at this rate with nothing to train."""
    return make_optimizer(torch.optim.SGD, [torch.zeros(1)], lr=rate)


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """Return the first parameter group's rate."""
    return float(optimizer.param_groups[0]["lr"])


@dataclass(frozen=True, slots=True)
class Request:
    """The inputs that a curve is built from.

    ``params`` holds every declared parameter. ``rate`` is the schedule's own rate or, where it gives
    none, the optimizer's. ``steps`` is the length that the curve has to fill, ``total_steps`` that of
    the whole training; they differ by a warm-up that comes first.
    """

    params: Mapping[str, Any]
    rate: float
    epochs: int
    steps: int
    total_steps: int
    higher_is_better: bool

    @property
    def carrier(self) -> torch.optim.SGD:
        """A new stand-in at the schedule's rate."""
        return stand_in(self.rate)


@dataclass(frozen=True, slots=True)
class Plan:
    """A torch scheduler over a stand-in, and its interval; ``momentum``: it moves that as well.

    ``moves`` are the only steps of the curve at which the scheduler changes anything, where these are known:
    at other steps it is not called.
    """

    scheduler: LRScheduler
    interval: Interval = "step"
    momentum: bool = False
    moves: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """The builder of one kind. ``after_warmup``: its curve begins when the warm-up is over."""

    build: Callable[[Request], Plan]
    rate: str = "lr"
    after_warmup: bool = False


class Warmup:
    """The factor of a linear warm-up over ``steps`` steps: (s + 1)/(steps + 1) at step s, then 1."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._carrier = stand_in(1.0)
        self._scheduler = LinearLR(self._carrier, 1.0 / (steps + 1), 1.0, total_iters=steps)
        quiet(self._scheduler)

    @property
    def over(self) -> bool:
        """Return True if the factor is 1 from now on."""
        return self._scheduler.last_epoch >= self._steps

    @property
    def factor(self) -> float:
        """The factor at the current step."""
        return 1.0 if self.over else rate_of(self._carrier)  # torch's last one is 1 but for rounding

    def advance(self) -> None:
        """Go to the next step."""
        if not self.over:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"rate": rate_of(self._carrier), "scheduler": self._scheduler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        self._carrier.param_groups[0]["lr"] = state["rate"]
        self._scheduler.load_state_dict(dict(state["scheduler"]))


def warmup_length(fraction: float, total_steps: int) -> int:
    """The warm-up in steps: the nearest number that leaves at least one step after it."""
    return min(round(fraction * total_steps), total_steps - 1)


def hear(scheduler: ReduceLROnPlateau, metric: float) -> None:
    """Tell a plateau scheduler the metric; its relative threshold is a share of the best value's size.

    torch takes the share of the value itself: with a best value below 0, a worse one would count as better.
    """
    if type(scheduler) is ReduceLROnPlateau and scheduler.threshold_mode == "rel":
        below = -math.inf < scheduler.best < 0.0
        scheduler.threshold = math.copysign(scheduler.threshold, -1.0 if below else 1.0)
    scheduler.step(metric)


def quiet(scheduler: LRScheduler) -> None:
    """Keep torch from warning that the scheduler's optimizer never steps: a stand-in does not."""
    count_as_stepped(scheduler.optimizer)
