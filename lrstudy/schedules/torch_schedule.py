"""The schedule that lets a torch scheduler work on the real optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lrstudy.schedules.curve_builder import Interval, Warmup, hear
from lrstudy.schedules.param_groups import write_rate
from lrstudy.schedules.protocol import ScheduleContext, ScheduleDefaults
from lrstudy.schedules.state import PlainState


class DirectSchedule(ScheduleDefaults):
    """A torch scheduler that needs the real optimizer: a user's own, or one that measures the model.

    Under a warm-up the optimizer holds rates that the scheduler did not set; many schedulers compute
    the next rate from the one they find, so theirs are put back whenever they move.
    """

    def __init__(
        self, scheduler: LRScheduler, interval: Interval, warmup_steps: int, context: ScheduleContext
    ) -> None:
        self.optimizer = context.optimizer
        self.scheduler = scheduler
        self._interval = interval
        self._total_steps = context.total_steps
        self._step = 0
        self._state = PlainState(scheduler)
        self._warmup = Warmup(warmup_steps)
        self._waits = warmup_steps == 0 and interval == "epoch"  # until the epoch is over
        if not self._warmup.over:
            self._apply()

    def after_step(self) -> None:
        """Set the rate of the next step; after the last one it stays."""
        self._step += 1
        if self._waits or self._step >= self._total_steps:
            return
        if self._interval == "step":
            self._move(None)
        if not self._warmup.over:
            self._warmup.advance()
            self._apply()

    def after_epoch(self, metric: float | None) -> None:
        """Set the rate of the next epoch, where the scheduler moves by epochs."""
        if self._interval == "epoch" and self._step < self._total_steps:
            self._move(metric)

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the position, the scheduler's state and the warm-up's."""
        return {
            "step": self._step,
            "scheduler": self._state.save(),
            "warmup": self._warmup.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        self._step = state["step"]
        self._state.load(state["scheduler"])
        self._warmup.load_state_dict(state["warmup"])
        self._apply()

    def _move(self, metric: float | None) -> None:
        warming = not self._warmup.over
        if warming:
            self._write(self._own_rates())
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self._step_scheduler()
        elif metric is not None:
            hear(self.scheduler, metric)
        if warming:
            self._apply()

    def _step_scheduler(self) -> None:
        self.scheduler.step()

    def _apply(self) -> None:
        factor = self._warmup.factor
        self._write([rate * factor for rate in self._own_rates()])

    def _own_rates(self) -> list[float]:
        return [float(rate) for rate in self.scheduler.get_last_lr()]

    def _write(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            write_rate(group, rate)
