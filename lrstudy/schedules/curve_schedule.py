"""The schedule that follows a curve: it carries the curve's rate over to the real optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrstudy.errors import Problem, SchedulerError
from lrstudy.schedules.curve_builder import Kind, Request, Warmup, hear, quiet, rate_of, warmup_length
from lrstudy.schedules.param_groups import Groups, has_momentum, set_momentum
from lrstudy.schedules.protocol import ScheduleContext, ScheduleDefaults
from lrstudy.schedules.state import PlainState


class CurveSchedule(ScheduleDefaults):
    """Any of the built-in curves, after or under a warm-up, on an optimizer's parameter groups."""

    def __init__(self, name: str, kind: Kind, params: Mapping[str, Any], context: ScheduleContext) -> None:
        self.optimizer = context.optimizer
        self._groups = Groups(context.optimizer)
        self._total_steps = context.total_steps
        warmup_steps = warmup_length(params["warmup"], context.total_steps)
        self._warmup = Warmup(warmup_steps)
        self._first_step = warmup_steps if kind.after_warmup else 0
        rate = params[kind.rate]
        request = Request(
            params=params,
            rate=self._groups.own_lr if rate is None else float(rate),
            epochs=context.epochs,
            steps=context.total_steps - self._first_step,
            total_steps=context.total_steps,
            higher_is_better=context.higher_is_better,
        )
        self._plan = kind.build(request)
        if self._plan.momentum and not has_momentum(self.optimizer):
            message = "the optimizer has no momentum to cycle"
            remedy = "Use sgd, adam or adamw, or leave cycle_momentum out."
            raise SchedulerError(Problem(f"schedule {name}", "cycle_momentum", message, remedy, value=True))
        quiet(self._plan.scheduler)
        self._waits = warmup_steps == 0 and self._plan.interval == "epoch"  # until the epoch is over
        self._state = PlainState(self._plan.scheduler)
        self._step = 0
        self._apply()

    def after_step(self) -> None:
        """Set the rate of the next step; after the last one it stays."""
        self._step += 1
        if self._waits or self._step >= self._total_steps:
            return
        moves = not self._warmup.over
        self._warmup.advance()
        if self._plan.interval == "step" and self._step > self._first_step:
            moves = self._move() or moves
        if moves:  # else it costs most steps of most schedules, and changes nothing
            self._apply()

    def after_epoch(self, metric: float | None) -> None:
        """Set the rate of the next epoch, where the curve moves by epochs."""
        if self._plan.interval != "epoch" or self._step >= self._total_steps:
            return
        if not isinstance(self._plan.scheduler, ReduceLROnPlateau):
            self._plan.scheduler.step()
        elif metric is not None:
            hear(self._plan.scheduler, metric)
        self._apply()

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the position, and the states of the curve and its stand-in."""
        return {
            "step": self._step,
            "carrier": self._plan.scheduler.optimizer.state_dict(),
            "scheduler": self._state.save(),
            "warmup": self._warmup.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        self._step = state["step"]
        self._plan.scheduler.optimizer.load_state_dict(state["carrier"])
        self._state.load(state["scheduler"])
        self._warmup.load_state_dict(state["warmup"])
        self._groups.forget()
        self._apply()

    def _move(self) -> bool:
        """Bring the curve to the current step; return True if that may have changed a rate."""
        scheduler, step = self._plan.scheduler, self._step - self._first_step
        if self._plan.moves is not None and step not in self._plan.moves:
            scheduler.last_epoch = step  # torch's name for the current step
            return False
        scheduler.step()
        return True

    def _apply(self) -> None:
        carrier = self._plan.scheduler.optimizer
        self._groups.set_rate(rate_of(carrier) * self._warmup.factor)
        if self._plan.momentum:
            set_momentum(self.optimizer, carrier.param_groups[0]["momentum"])
