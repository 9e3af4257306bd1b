"""A study's schedule in the user's own loop: a torch scheduler that is stepped after every optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrstudy.engine.function.reports import refusal
from lrstudy.engine.function.shared_values import mean_over_ranks
from lrstudy.schedules import Schedule


class TrialSchedule(LRScheduler):
    """The schedule of a trial; call ``step()`` once after every ``optimizer.step()``.

    ``optimizer`` is the one to train with: a schedule that brings its own (Prodigy, Schedule-Free) has put it
    there. It has the interface of a torch scheduler, and calls nothing of its base class: what it does is
    the study's schedule's.
    """

    def __init__(self, name: str, schedule: Schedule, given: Optimizer) -> None:
        self.name, self.schedule = name, schedule
        self.optimizer = schedule.optimizer
        self.base_lrs = _rates(self.optimizer)
        self.last_epoch = 0
        self.steps = self.updates = 0
        """Calls of ``step``, and steps that the optimizer took."""
        self.world_size = 1
        """The workers of the trial: each has the loss of its part of a batch."""
        self.pass_length: int | None = None
        """The steps of a whole pass over the data, where they are known."""
        self.after_step: list[Callable[[], None]] = []
        """Called at the end of every ``step``."""
        self._used: list[float] = []
        self._hooks = [self.optimizer.register_step_post_hook(self._count)]
        if self.optimizer is not given:
            self._hooks.append(given.register_step_pre_hook(self._refuse))

    def step(self, epoch: int | None = None) -> None:
        """Set the rate of the next optimizer step."""
        self._used.append(self.schedule.rate)
        self.steps += 1
        self.last_epoch = self.steps
        self.schedule.after_step()
        for each in self.after_step:
            each()

    def before_step(self, loss: Tensor) -> None:
        """Give a step's loss to a schedule whose rate depends on it (Polyak's); other schedules ignore it.

        Call between ``loss.backward()`` and ``optimizer.step()``, before the gradients are clipped.
        """
        if self.schedule.needs_loss:
            loss = loss.detach()
            self.schedule.before_step(loss if self.world_size == 1 else mean_over_ranks(loss))

    def get_lr(self) -> list[float | Tensor]:
        """Return the rates in effect, one per parameter group."""
        return list(_rates(self.optimizer))

    def get_last_lr(self) -> list[float | Tensor]:
        """Return the rates in effect, one per parameter group."""
        return list(_rates(self.optimizer))

    def take_rates(self) -> list[float]:
        """Return the rates of the steps since the last call; the one in effect if there were none.

        A rate that is NaN is left out: an optimizer that finds its own step size has none at first.
        """
        used, self._used = self._used, []
        known = [rate for rate in used if not math.isnan(rate)]
        return known or used or [self.schedule.rate]

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's position, as tensors and plain data."""
        return {
            "steps": self.steps,
            "updates": self.updates,
            "used": torch.tensor(self._used, dtype=torch.float64),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a saved position; load the optimizer's state first."""
        self.steps = self.last_epoch = state_dict["steps"]
        self.updates = state_dict["updates"]
        self._used = state_dict["used"].tolist()
        self.schedule.load_state_dict(state_dict["schedule"])

    def close(self) -> None:
        """Remove what the schedule attached to the model and the optimizer."""
        for hook in self._hooks:
            hook.remove()
        self.schedule.close()

    def _count(self, *_: Any) -> None:
        self.updates += 1

    def _refuse(self, *_: Any) -> None:
        message = f"the schedule {self.name!r} brings its own optimizer, and another one was stepped"
        remedy = "Train with the schedule's: optimizer = schedule.optimizer, after trial.schedule(…)."
        raise refusal(message, remedy)


def _rates(optimizer: Optimizer) -> list[Any]:
    return [float(group["lr"]) for group in optimizer.param_groups]
