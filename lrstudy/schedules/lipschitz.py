"""The Lipschitz schedule: ``LipschitzLR`` with a study's parameters, on the training at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrstudy.catalog.task_parts import LOSSES
from lrstudy.lipschitz import LipschitzLR
from lrstudy.lipschitz.constants import NEEDS_TARGETS, OF_ALL_LAYERS
from lrstudy.lipschitz.curvature import Objective
from lrstudy.lipschitz.loss_functions import FUNCTIONS, NamedObjective
from lrstudy.schedules.curve_builder import warmup_length
from lrstudy.schedules.protocol import Measurement, ScheduleContext
from lrstudy.schedules.torch_schedule import DirectSchedule
from lrstudy.tasks.losses import Loss
from lrstudy.tasks.part_options import complete_options


class _OwnLoopLR(LipschitzLR):
    """The scheduler in a user's loop, which tells the schedule of each step."""

    anneals_in_hook = False


class _LipschitzLR(_OwnLoopLR):
    """The same in a study's own loop, which takes a step per batch: an optimizer without hooks can be
    captured, and be stepped for many trials at a time.
    """

    watches_steps = False


class _AccumulatingLR(_OwnLoopLR):
    """The same, in a loop that takes a step per several batches: it sees which of them make a step."""

    checks_calls = False


class LipschitzSchedule(DirectSchedule):
    """``LipschitzLR``, moved once per epoch, under a warm-up where there is one."""

    scheduler: LipschitzLR

    def __init__(self, params: Mapping[str, Any], context: ScheduleContext) -> None:
        options = {name: value for name, value in params.items() if name != "warmup"}
        options |= {
            name: context.loss_options[name] for name in ("tau", "delta") if name in context.loss_options
        }
        if context.accumulate > 1:
            options["accumulate"] = context.accumulate
        make = (
            _OwnLoopLR if context.own_loop else _LipschitzLR if context.accumulate == 1 else _AccumulatingLR
        )
        warmup_steps = warmup_length(params["warmup"], context.total_steps)
        scheduler = make(
            context.optimizer,
            context.model,
            loss=_loss(context),
            batches=_batches(params, context),
            objective=_objective(context),
            total_steps=context.total_steps,
            warmup_steps=warmup_steps,
            seed=context.seed,
            **options,
        )
        self._seconds = scheduler.estimate_seconds  # a pass may have set the very first rate
        self._mean = _RunningMean() if params["cap"] == "last-good" else None
        super().__init__(scheduler, "epoch", warmup_steps, context)

    @property
    def measurement(self) -> Measurement:
        """Return the measurement that set the current rate; None until there is one."""
        return Measurement(self.scheduler.constant, self.scheduler.kz, self.scheduler.weight_norm)

    @property
    def needs_loss(self) -> bool:
        """Return True if the next rate depends on the losses of the epoch's steps."""
        return self._mean is not None

    def before_step(self, loss: Tensor) -> None:
        """Take the loss of the step to be made now."""
        if self._mean is not None:
            self._mean.add(loss)

    def after_step(self) -> None:
        """Set the rate of the next step; after the last one it stays."""
        if self._step + 1 < self._total_steps:
            self.scheduler.advance()
        super().after_step()

    def after_epoch(self, metric: float | None) -> None:
        """Measure, and set the next epoch's rate."""
        if self._step < self._total_steps:
            super().after_epoch(metric)
            self._seconds += self.scheduler.estimate_seconds

    def _step_scheduler(self) -> None:
        self.scheduler.step(loss=None if self._mean is None else self._mean.take())

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the position, and the states of the scheduler, the warm-up and the mean loss."""
        losses = {} if self._mean is None else {"losses": self._mean.state_dict()}
        return super().state_dict() | losses

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        if self._mean is not None:
            self._mean.load_state_dict(state["losses"])
        super().load_state_dict(state)

    def take_estimate_seconds(self) -> float:
        """Seconds spent on measuring since the last call."""
        taken, self._seconds = self._seconds, 0.0
        return taken

    def close(self) -> None:
        """Remove the hooks from the model."""
        self.scheduler.close()


def _loss(context: ScheduleContext) -> str | nn.Module:
    """Return the loss by name; smoothed labels have a constant that only the module tells."""
    smoothing = context.loss_options.get("label_smoothing")
    return nn.CrossEntropyLoss(label_smoothing=smoothing) if smoothing else context.loss_name


def _objective(context: ScheduleContext) -> Objective | None:
    """Return the loss of a batch as the study trains with it; None if the scheduler's own is that."""
    name = context.loss_name
    if isinstance(name, nn.Module) or name not in FUNCTIONS or context.own_loop:
        return None
    _, options = complete_options("loss", name, context.loss_options, LOSSES)
    return NamedObjective(context.model, Loss(name, FUNCTIONS[name], options))


def _batches(params: Mapping[str, Any], context: ScheduleContext) -> _Batches | None:
    """Return the training batches; None in a user's loop whose own passes tell all that is needed."""
    loss = context.loss_name
    squared = isinstance(loss, nn.MSELoss) if isinstance(loss, nn.Module) else loss in NEEDS_TARGETS
    needed = squared or params["measure"] != "hook" or params["bound"] in OF_ALL_LAYERS
    if context.own_loop and not needed:
        return None
    count = (context.steps_per_epoch - 1) * context.accumulate + 1
    return _Batches(context.batches, count if context.batch_count is None else context.batch_count)


class _Batches:
    """The training batches, drawn again at each iteration; at least ``length``."""

    def __init__(self, batches: Callable[[], Iterable[tuple[Tensor, Tensor]]], length: int) -> None:
        self._batches = batches
        self._length = length

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._batches())

    def __len__(self) -> int:
        return self._length


class _RunningMean:
    """The mean of an epoch's losses, without waiting for a device until it is taken."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, loss: Tensor) -> None:
        """Count a step's loss."""
        loss = loss.detach().double() if loss.device.type != "mps" else loss.detach().clone()
        self._sum = loss if self._sum is None else self._sum + loss
        self._count += 1

    def take(self) -> float | None:
        """Return the mean, and begin again; None if there was no step."""
        mean = None if self._sum is None else float(self._sum) / self._count
        self._sum, self._count = None, 0
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {"sum": None if self._sum is None else float(self._sum), "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` returned."""
        total, self._count = state["sum"], state["count"]
        self._sum = None if total is None else torch.tensor(total, dtype=torch.float64)
