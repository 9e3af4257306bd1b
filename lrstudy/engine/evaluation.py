"""The evaluations of a trial: after every epoch, and within it if the schedule requests them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lrstudy.rules.metrics import Metric
from lrstudy.schedules import Schedule, WatchingSchedule
from lrstudy.tasks import TrainingParts
from lrstudy.tasks.pipeline import SplitName


class Evaluations:
    """The evaluations of one trial; ``seconds`` is their time in the current epoch.

    ``watching`` is the trial's schedule if it is a ``WatchingSchedule``, else None.
    """

    def __init__(
        self, parts: TrainingParts, schedule: Schedule, metric: Metric, clock: Callable[[], float]
    ) -> None:
        self._parts, self._schedule, self._metric, self._clock = parts, schedule, metric, clock
        self.watching = schedule if isinstance(schedule, WatchingSchedule) else None
        self.seconds = 0.0
        self._latest: dict[str, float] | None = None  # None after a further step

    def begin_epoch(self) -> None:
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

    def end_epoch(self) -> dict[str, float]:
        """Return the validation metrics; evaluate unless that was done after the epoch's last step."""
        return self._validate() if self._latest is None else self._latest

    def _validate(self) -> dict[str, float]:
        started = self._clock()
        result = self.measure("validation")
        if self.watching is not None:
            stored = result.get(self._metric.column.removeprefix("val_"))
            self.watching.after_evaluation(self._metric.value(stored))
        self.seconds += self._clock() - started
        return result

    @torch.no_grad()
    def measure(self, split: SplitName) -> dict[str, float]:
        """Return the metrics of a split with the weights that the schedule evaluates."""
        parts = self._parts
        parts.model.eval()
        self._schedule.before_evaluation()
        sums = parts.new_sums()
        for inputs, targets in parts.pipeline.batches(split):
            with parts.precision.autocast():
                outputs = parts.model(inputs)
                loss = parts.loss(outputs, targets)
            sums.update(loss, outputs, targets)
        return sums.result()
