"""The machinery of a scheduler whose rate is measured once per epoch, and annealed with the steps."""

from __future__ import annotations

import math
import weakref
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrstudy.compat.torch import (
    keep_last_rates,
    load_scheduler_state,
    scheduler_state,
    skip_order_warning,
    skipped_by_scaler,
    starts_now,
    steps_now,
)
from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.anneal import Anneal
from lrstudy.lipschitz.head_candidates import refusal
from lrstudy.lipschitz.meter import Meter
from lrstudy.lipschitz.per_batch import PerBatchCheck
from lrstudy.lipschitz.ranks import ranks_of
from lrstudy.lipschitz.rate import LipschitzRate
from lrstudy.lipschitz.refusals import Complaints
from lrstudy.lipschitz.settings import RateChoices
from lrstudy.lipschitz.weak_calls import weakly


class MeasuredScheduler(LRScheduler):
    """A torch scheduler whose rate comes from a meter, once per epoch: the part behind ``LipschitzLR``.

    A subclass makes the parts and hands them over; ``settings`` are what the choices amount to on the model
    at hand, as far as that is known before the first training pass.
    """

    watches_steps: ClassVar[bool] = True
    """False in a class for loops of one forward pass a step: nothing is hooked onto the optimizer then."""

    checks_calls: ClassVar[bool] = True
    """False in a class for loops that are known to call ``step()`` once per epoch."""

    anneals_in_hook: ClassVar[bool] = True
    """False in a class for loops that call ``advance`` after each optimizer step."""

    def __init__(
        self,
        optimizer: Optimizer,
        choices: RateChoices,
        meter: Meter,
        anneal: Anneal,
        process_group: Any,
        last_epoch: int,
    ) -> None:
        self._choices, self._meter, self.anneal = choices, meter, anneal
        self._process_group = process_group
        self._head_group, self.settings = choices.settings(meter.head, optimizer, Complaints())
        self.rate = LipschitzRate(self.settings)
        self._check = PerBatchCheck(meter.model) if self.watches_steps and self.checks_calls else None
        self.estimate_seconds = 0.0
        self._steps = 0
        self._loss: float | None = None
        super().__init__(optimizer, last_epoch)
        self._watch_steps()

    # -- what set the current rate ------------------------------------------------------------------

    @property
    def constant(self) -> float | None:
        """L behind the current rate; None where no measurement set it."""
        return self.rate.constant

    @property
    def kz(self) -> float | None:
        """Kz behind the current rate; None where no measurement set it."""
        return self.rate.kz

    @property
    def weight_norm(self) -> float | None:
        """w̄ behind the current rate; None where no measurement set it."""
        return self.rate.weight_norm

    @property
    def rejected(self) -> int:
        """The number of measurements without a usable rate."""
        return self.rate.rejected

    # -- the scheduler's contract -------------------------------------------------------------------

    def get_lr(self) -> list[float | Tensor]:
        """Return the rates of the coming epoch, one per parameter group; measures within ``step()``."""
        groups, known = len(self.optimizer.param_groups), len(self.base_lrs)
        if groups != known:
            raise refusal(
                "optimizer",
                type(self.optimizer).__name__,
                f"has {groups} parameter groups, and had {known} when the scheduler was made: the rates of"
                " those that were added are not known",
                "Make a new scheduler after add_param_group; or give all groups from the start, and let"
                " requires_grad freeze and unfreeze them.",
            )
        if steps_now(self):
            self._begin_epoch()
        return [self.anneal.apply(lr, self._steps) for lr in self._unannealed()]

    def step(self, epoch: int | None = None, *, loss: float | Tensor | None = None) -> None:
        """Set the rates of the next epoch. ``loss``: the epoch's mean training loss, if ``cap`` needs it."""
        self._loss = None if loss is None else float(loss)
        super().step(epoch)

    def advance(self) -> None:
        """Set the rates of the next optimizer step, if they are annealed (see ``anneals_in_hook``)."""
        if self.anneal.moves:
            self._steps += 1
            self._write(self.get_lr())

    def close(self) -> None:
        """Take the hooks off model and optimizer; the rate then stays as it is. May be called twice."""
        self._meter.close()
        if self._check is not None:
            self._check.remove()
        self._finalizer()

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers (and None, and lists and dicts of them) only; in mid-epoch too."""
        return {
            **scheduler_state(self),
            "steps": self._steps,
            "estimate_seconds": self.estimate_seconds,
            "rate": self.rate.state_dict(),
            "seen": self._meter.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the trajectory of the scheduler that returned ``state_dict``.

        As with every torch scheduler, the rates in the optimizer come with the optimizer's own state.
        ``SchedulerError`` if the state is not a ``LipschitzLR``'s with the same options and groups.
        """
        missing = self.state_dict().keys() - state_dict.keys()
        if missing or len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise SchedulerError(
                Problem(
                    "LipschitzLR",
                    "state_dict",
                    f"lacks {', '.join(sorted(missing))}"
                    if missing
                    else "has another number of parameter groups",
                    "Give what LipschitzLR.state_dict() returned for the same optimizer.",
                )
            )
        self.rate.load_state_dict(state_dict["rate"])
        self._meter.load_state_dict(state_dict["seen"])
        load_scheduler_state(self, state_dict)
        self._steps, self.estimate_seconds = state_dict["steps"], state_dict["estimate_seconds"]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_finalizer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A copied optimizer has lost torch's mark of a step taken, without which torch would warn.
        skip_order_warning(self)
        self._watch_steps()

    # -- inside -------------------------------------------------------------------------------------

    def _begin_epoch(self) -> None:
        """Measure, if this epoch's rate comes from a measurement."""
        self.estimate_seconds = 0.0
        first = self.last_epoch <= 0
        if first:
            # Also when SequentialLR steps its first scheduler again, or starts this one at its milestone.
            self.rate.restart()
        unmeasured_start = self.settings.initial_lr is not None or self.settings.policy == "fixed"
        starts = starts_now(self)
        if starts and (self._meter.way == "hook" or (first and unmeasured_start)):
            return
        if self.rate.settled or self._meter.closed:
            return
        self._refuse_ranks_of_later()
        if self._check is not None and not starts:
            self._check.scheduler_stepped(self._meter.steps)
        rate = self._unannealed()[self._head_group]
        if not starts:
            self._note_loss(rate)
        self.rate.update(self._meter.measure(self.last_epoch, rate), None if starts else rate)
        self.estimate_seconds = self._meter.seconds

    def _note_loss(self, rate: float | None) -> None:
        """Give the limits the epoch just done, of which ``cap`` needs the training loss."""
        if self.rate.limits.needs_loss and self._loss is None:
            raise refusal(
                "cap",
                self.settings.cap,
                "needs the training loss of the epoch, which step() was not given",
                "Call scheduler.step(loss=…) with the mean of the epoch's losses; in a study's training"
                " function schedule.before_step(loss) between loss.backward() and optimizer.step().",
            )
        self.rate.limits.note_epoch(rate, self._loss)
        self._loss = None

    def _unannealed(self) -> list[float]:
        base = [float(lr) for lr in self.base_lrs]
        rate = self.rate.value
        if rate is None:
            rate = self.settings.initial_lr
            if rate is None:
                return base
            rate = min(rate, self.settings.max_lr or math.inf)
        reference = base[self._head_group]
        return [rate if lr == reference else rate * lr / reference for lr in base]

    def _refuse_ranks_of_later(self) -> None:
        """Raise ``SchedulerError`` if torch.distributed was initialised after the scheduler was made."""
        if self._meter.ranks is None:
            ranks_of(self._meter.model, self._process_group)

    def _watch_steps(self) -> None:
        """Hook onto the optimizer's steps, if they are counted or the rate is annealed with them."""
        self._meter.found = weakly(self._take_head)
        self._finalizer = weakref.finalize(self, _nothing)
        if self.watches_steps or (self.anneal.moves and self.anneals_in_hook):
            # A weak reference: the optimizer must not keep a dropped scheduler alive.
            after_step = weakly(self._after_optimizer_step)
            handle = self.optimizer.register_step_post_hook(lambda *_: after_step())
            self._finalizer = weakref.finalize(self, handle.remove)
        self._finalizer.atexit = False

    def _take_head(self, layer: nn.Module) -> None:
        """Set what depends on the last linear layer, which the first training pass has found."""
        complaints = Complaints()
        self._head_group, self.settings = self._choices.settings(layer, self.optimizer, complaints)
        complaints.raise_any()
        self.rate.take_settings(self.settings)
        if self.settings.initial_lr is not None and self.rate.value is None:
            self._write(self.get_lr())

    def _after_optimizer_step(self) -> None:
        # A fused optimizer steps even if a gradient scaler found an infinity, and changes nothing.
        self._meter.end_step(skipped_by_scaler(self.optimizer))
        if self.anneals_in_hook:
            self.advance()

    def _write(self, rates: list[float | Tensor]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        keep_last_rates(self)


def _nothing() -> None:
    pass
