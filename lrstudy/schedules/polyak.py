"""The stochastic Polyak step: SGD's rate from the loss and the gradient of the very step it is for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import SGD

from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.step_count import accumulator
from lrstudy.schedules.curve_builder import Warmup, warmup_length
from lrstudy.schedules.param_groups import Groups
from lrstudy.schedules.protocol import ScheduleContext, ScheduleDefaults


class PolyakSchedule(ScheduleDefaults):
    """SPS_max: (f − f*)/(c·‖g‖²), at most the limit, which with ``smoothing`` follows the last rate.

    With several parameter groups, whose rates keep their ratios ρ, ‖g‖² is Σ ρ·‖g‖² over the groups: the
    squared length of the gradient in which a rate of 1 would move the parameters.
    """

    def __init__(self, params: Mapping[str, Any], context: ScheduleContext) -> None:
        if not isinstance(context.optimizer, SGD):
            message = f"is a rate for SGD, and the optimizer is {type(context.optimizer).__name__}"
            remedy = 'Use optimizer = "sgd", or the kind adamg or prodigy, which replace an Adam.'
            raise SchedulerError(Problem("schedule polyak", "kind", message, remedy))
        self.optimizer = context.optimizer
        self._groups = Groups(context.optimizer)
        self._c, self._f_star = float(params["c"]), float(params["f_star"])
        smoothing = params["smoothing"]
        self._growth = None if smoothing is None else smoothing ** (1.0 / context.steps_per_epoch)
        self._limit = float(params["max_lr"] or self._groups.own_lr)
        self._warmup = Warmup(warmup_length(params["warmup"], context.total_steps))
        self._step, self._loss_seen = 0, False
        self._groups.set_rate(self._limit * self._warmup.factor)

    @property
    def needs_loss(self) -> bool:
        """Return True if the rate of a step depends on its loss: it does."""
        return True

    def before_step(self, loss: Tensor) -> None:
        """Set the rate of the step to be made now; reading the loss and the norm synchronises a GPU."""
        limit = self._limit if self._growth is None or self._step == 0 else self._limit * self._growth
        value, squared = torch.stack([loss.detach().to(accumulator(loss)), self._squared_norm(loss)]).tolist()
        rate = max(value - self._f_star, 0.0) / (self._c * squared) if squared else limit
        rate = limit if math.isnan(rate) else min(rate, limit)
        if self._growth is not None and rate > 0.0:  # at a rate of 0 the limit would stay at 0
            self._limit = rate
        self._groups.set_rate(rate * self._warmup.factor)
        self._loss_seen = True

    def after_step(self) -> None:
        """Go to the next step; its rate is known when its loss is."""
        if not self._loss_seen:
            message = f"needs the loss of every step, and got none for step {self._step}"
            remedy = "Call schedule.before_step(loss) between loss.backward() and optimizer.step()."
            raise SchedulerError(Problem("schedule polyak", "before_step", message, remedy))
        self._loss_seen = False
        self._step += 1
        self._warmup.advance()

    def after_epoch(self, metric: float | None) -> None:
        """Nothing to do."""

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the position, the limit, the last rate and the warm-up's state."""
        return {
            "step": self._step,
            "limit": self._limit,
            "rate": self.rate,
            "warmup": self._warmup.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        self._step, self._limit, self._loss_seen = state["step"], state["limit"], False
        self._warmup.load_state_dict(state["warmup"])
        self._groups.forget()
        self._groups.set_rate(state["rate"])

    def _squared_norm(self, loss: Tensor) -> Tensor:
        total = torch.zeros((), dtype=accumulator(loss), device=loss.device)
        for group, ratio in zip(self.optimizer.param_groups, self._groups.ratios, strict=True):
            gradients = [p.grad for p in group["params"] if p.grad is not None]
            if gradients:
                norm = get_total_norm(gradients)
                if callable(whole := getattr(norm, "full_tensor", None)):  # of gradients divided among ranks
                    norm = whole()
                total += ratio * norm.to(loss.device, accumulator(loss)) ** 2
        return total
