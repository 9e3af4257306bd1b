"""The evaluations of a trial: after every epoch, and within it if the schedule requests them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lrstudy.rules.metrics import Metric
from lrstudy.schedules import Schedule, WatchingSchedule
from lrstudy.tasks import TrainingParts
from lrstudy.tasks.model_outputs import logits_of
from lrstudy.tasks.named_metrics import NamedMetrics
from lrstudy.tasks.pipeline import SplitName


class Evaluations:
    """The evaluations of one trial; ``seconds`` is their time since ``begin``.

    ``watching`` is the trial's schedule if it is a ``WatchingSchedule``, else None. ``average`` is a model
    with averaged weights, which is evaluated too.
    """

    def __init__(
        self,
        parts: TrainingParts,
        schedule: Schedule,
        metric: Metric,
        clock: Callable[[], float],
        average: nn.Module | None = None,
    ) -> None:
        self._parts, self._schedule, self._metric, self._clock = parts, schedule, metric, clock
        self._average = average
        self.watching = schedule if isinstance(schedule, WatchingSchedule) else None
        self.seconds = 0.0
        self._latest: dict[str, float] | None = None  # None after a further step

    def begin(self) -> None:
        """Reset the time, and forget the last evaluation."""
        self.seconds, self._latest = 0.0, None

    def end_after(self, schedule: WatchingSchedule, loss: Tensor) -> bool:
        """Pass a step's loss to the schedule and evaluate if due; return True if the trial ends here."""
        self._latest = None
        schedule.after_loss(float(loss))
        if not schedule.ended and schedule.evaluation_due:
            self._latest = self._validate()
            self._parts.model.train()
            schedule.before_training()
        return schedule.ended

    def end(self) -> dict[str, float]:
        """Return the validation metrics by column; evaluate unless that was done after the last step."""
        return self._validate() if self._latest is None else self._latest

    def _validate(self) -> dict[str, float]:
        started = self._clock()
        result = {f"val_{name}": value for name, value in self.measure("validation").items()}
        if self._average is not None:
            averaged = self._measure(self._average, "validation", None)
            result |= {f"ema_val_{name}": value for name, value in averaged.items()}
        if self.watching is not None:
            self.watching.after_evaluation(self._metric.value(result.get(self._metric.column)))
        self.seconds += self._clock() - started
        return result

    def measure(self, split: SplitName) -> dict[str, float]:
        """Return the metrics of a split with the weights that the schedule evaluates."""
        self._parts.model.eval()
        self._schedule.before_evaluation()
        return self._measure(self._parts.model, split, self._parts.new_metrics())

    @torch.no_grad()
    def _measure(self, model: nn.Module, split: SplitName, metrics: NamedMetrics | None) -> dict[str, float]:
        parts = self._parts
        sums, loss_function = parts.new_sums(), parts.loss.evaluated()
        for inputs, targets in parts.pipeline.batches(split):
            with parts.precision.autocast():
                outputs = logits_of(model(inputs))
                loss = loss_function(outputs, targets)
            sums.update(loss, outputs, targets)
            if metrics is not None:
                metrics.update(outputs, targets)
        return sums.result() | ({} if metrics is None else metrics.result())
