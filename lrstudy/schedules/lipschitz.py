"""The Lipschitz schedule: ``LipschitzLR`` with a study's parameters, on the training at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from lrstudy.lipschitz import LipschitzLR
from lrstudy.lipschitz.constants import NEEDS_TARGETS
from lrstudy.schedules.curve_builder import warmup_length
from lrstudy.schedules.protocol import Measurement, ScheduleContext
from lrstudy.schedules.torch_schedule import DirectSchedule


class _LipschitzLR(LipschitzLR):
    """The scheduler in a study's own loop, which takes a step per batch: an optimizer without hooks can be
    captured, and be stepped for many trials at a time.
    """

    watches_steps = False


class _AccumulatingLR(LipschitzLR):
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
            LipschitzLR if context.own_loop else _LipschitzLR if context.accumulate == 1 else _AccumulatingLR
        )
        scheduler = make(
            context.optimizer,
            context.model,
            loss=_loss(context),
            batches=_batches(params["measure"], context),
            seed=context.seed,
            **options,
        )
        self._seconds = scheduler.estimate_seconds  # a pass may have set the very first rate
        super().__init__(scheduler, "epoch", warmup_length(params["warmup"], context.total_steps), context)

    @property
    def measurement(self) -> Measurement:
        """Return the measurement that set the current rate; None until there is one."""
        return Measurement(self.scheduler.constant, self.scheduler.kz, self.scheduler.weight_norm)

    def after_epoch(self, metric: float | None) -> None:
        """Measure, and set the next epoch's rate."""
        before = self._step
        super().after_epoch(metric)
        if before < self._total_steps:
            self._seconds += self.scheduler.estimate_seconds

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


def _batches(measure: str, context: ScheduleContext) -> _Batches | None:
    """Return the training batches; None in a user's loop whose own passes tell all that is needed."""
    loss = context.loss_name
    squared = isinstance(loss, nn.MSELoss) if isinstance(loss, nn.Module) else loss in NEEDS_TARGETS
    if context.own_loop and measure == "hook" and not squared:
        return None
    return _Batches(context.batches, (context.steps_per_epoch - 1) * context.accumulate + 1)


class _Batches:
    """The training batches, drawn again at each iteration; at least ``length``."""

    def __init__(self, batches: Callable[[], Iterable[tuple[Tensor, Tensor]]], length: int) -> None:
        self._batches = batches
        self._length = length

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._batches())

    def __len__(self) -> int:
        return self._length
