"""The training of a range test: no Ray, no disk, no printing.

The study's own data, model, loss and base optimizer (momentum and weight decay included); only the rate is
not the study's. Everything random comes from one seed, so that a sweep repeats bit by bit on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from lrstudy.errors import InputError, Problem
from lrstudy.records import EpochRecord, Status
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.range_bounds import Bounds, suggest_bounds
from lrstudy.rules.seeding import derive_seed
from lrstudy.schedules.param_groups import Groups
from lrstudy.spec import Study
from lrstudy.tasks import (
    MetricSums,
    Pipeline,
    TaskData,
    build_loss,
    build_model,
    build_optimizer,
    precision_of,
)

DIVERGED: Final = 4.0  # times the best smoothed loss, and above where the loss began: the sweep ends there
_STEPS: Final = 200  # what an unstated length aims at
_MOST_CHECKS: Final = 4  # validations within an epoch
_MEMORY: Final = 0.9  # of the running mean that tells divergence while training


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The rates of a sweep: ``low`` to ``high``, by an equal factor (or, ``linear``, step) each step."""

    low: float
    high: float
    epochs: int
    steps: int
    linear: bool = False

    def rate(self, step: int) -> float:
        """The rate of a step, from 0."""
        part = step / max(self.steps - 1, 1)
        if self.linear:
            return self.low + part * (self.high - self.low)
        # Exact at both ends.
        return math.pow(self.low, 1.0 - part) * math.pow(self.high, part)


def plan_sweep(
    study: Study,
    data: TaskData,
    *,
    low: float | None = None,
    high: float | None = None,
    epochs: int | None = None,
    linear: bool = False,
) -> SweepPlan:
    """How long a study's range test is; what is None is taken from the study's ``[range_test]``.

    Where that gives no ``epochs`` (0), as many whole epochs as make 200 steps: at least 2, and no more than
    a trial of the study has.

    Raises:
        InputError: for rates that are not finite, above 0 and in order, or less than one epoch.
    """
    settings = study.range_test
    low = settings.low if low is None else low
    high = settings.high if high is None else high
    epochs = settings.epochs if epochs is None else epochs
    problems = []
    for name, value in (("--low", low), ("--high", high)):
        if not (math.isfinite(value) and value > 0):
            remedy = "Give a rate, for example 1e-5."
            problems.append(Problem("command line", name, "must be finite and above 0", remedy, value))
    if not problems and low >= high:
        message = f"is not below the highest rate, {high:g}"
        problems.append(Problem("command line", "--low", message, "Lower it, or raise --high.", low))
    if epochs < 0:
        problems.append(Problem("command line", "--epochs", "must be at least 1", "Give 1 or more.", epochs))
    if problems:
        raise InputError(problems)
    per_epoch = Pipeline(data, study.task, torch.device("cpu")).steps_per_epoch
    length = epochs or min(study.task.epochs, max(2, math.ceil(_STEPS / per_epoch)))
    return SweepPlan(low, high, length, length * per_epoch, linear)


@dataclass(slots=True)
class RangeCurve:
    """What a sweep measured.

    ``rates`` and ``losses`` run in parallel, one entry per step; a loss is that of the step's batch before
    the step is taken. ``checks`` are ``(rate, validation metric)``, some in each epoch. ``ended`` says why
    the sweep ended before its last step, if it did.
    """

    metric: str
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    checks: list[tuple[float, float]] = field(default_factory=list)
    ended: str | None = None

    def bounds(self) -> Bounds:
        """What the curve suggests."""
        return suggest_bounds(self.rates, self.losses)


class Sweep:
    """A range test in progress: ``run_epoch`` until ``finished``, then ``outcome`` and ``curve``."""

    def __init__(
        self,
        study: Study,
        data: TaskData,
        plan: SweepPlan,
        seed: int,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        task = study.task
        self._task, self._plan, self._device, self._clock = task, plan, device, clock
        self._metric = METRICS[study.target.metric]
        self._pipeline = Pipeline(data, task, device)
        self._precision = precision_of(task, device)
        torch.manual_seed(derive_seed(seed, "dropout"))
        self._order = torch.Generator(device=device).manual_seed(derive_seed(seed, "order"))
        shape, outputs = self._pipeline.input_shape, self._pipeline.outputs
        model = build_model(task.model, shape, outputs, derive_seed(seed, "model"))
        self._model = self._precision.prepare(model.to(device))
        self._loss = build_loss(task.loss)
        self._optimizer = build_optimizer(task.optimizer, self._model)
        self._groups = Groups(self._optimizer)
        self._classes = data.classes
        # Validation in mid-epoch costs at most half of what the training steps do.
        most = round(len(data.train.targets) / (2 * max(1, len(data.validation.targets))))
        self._check_every = math.ceil(self._pipeline.steps_per_epoch / max(1, min(_MOST_CHECKS, most)))
        self._epoch = self._samples = 0
        self._mean = self._weight = 0.0
        self._first = self._least = math.inf
        self.curve = RangeCurve(self._metric.name)

    @property
    def finished(self) -> bool:
        """Whether the last rate was tried or the loss has diverged."""
        return self.curve.ended is not None or self._epoch >= self._plan.epochs

    @property
    def epoch(self) -> int:
        """How many epochs have been run; one that diverged counts."""
        return self._epoch

    def run_epoch(self) -> EpochRecord:
        """Train one epoch, or until the loss diverges; returns what was measured."""
        started = self._clock()
        begin = len(self.curve.rates)
        sums = MetricSums(self._classes, self._device)
        self._model.train()
        eval_seconds, validation = 0.0, None
        for inputs, targets in self._pipeline.train_batches(self._order):
            validation = None
            self._step(inputs, targets, sums)
            if self.curve.ended is not None:
                break
            if (len(self.curve.rates) - begin) % self._check_every == 0:
                validation, seconds = self._check()
                eval_seconds += seconds
        if validation is None:
            validation, seconds = self._check()
            eval_seconds += seconds
        self._epoch += 1
        rates, train = self.curve.rates[begin:], sums.result()
        return EpochRecord(
            epoch=self._epoch,
            step=len(self.curve.rates),
            samples=self._samples,
            train_seconds=self._clock() - started - eval_seconds,
            estimate_seconds=0.0,
            eval_seconds=eval_seconds,
            lr=math.fsum(rates) / len(rates),
            lr_min=rates[0],
            lr_max=rates[-1],
            train_loss=train["loss"],
            train_accuracy=train.get("accuracy"),
            train_r2=train.get("r2"),
            val_loss=validation["loss"],
            val_accuracy=validation.get("accuracy"),
            val_r2=validation.get("r2"),
        )

    def _step(self, inputs: Tensor, targets: Tensor, sums: MetricSums) -> None:
        rate = self._plan.rate(len(self.curve.rates))
        self._groups.set_rate(rate)
        self._optimizer.zero_grad(set_to_none=True)
        with self._precision.autocast():
            outputs = self._model(inputs)
            loss = self._loss(outputs, targets)
        loss.backward()
        self._optimizer.step()
        sums.update(loss.detach(), outputs.detach(), targets)
        self._samples += len(targets)
        self.curve.rates.append(rate)
        self.curve.losses.append(float(loss.detach()))
        self._judge(rate, self.curve.losses[-1])

    def _judge(self, rate: float, loss: float) -> None:
        """Whether the loss has left for good: a running mean, so that one bad batch ends nothing."""
        if not math.isfinite(loss) or loss > self._task.divergence:
            self.curve.ended = f"the loss became {loss:.6g} at rate {rate:.3g}"
            return
        self._mean = _MEMORY * self._mean + (1 - _MEMORY) * loss
        self._weight = _MEMORY * self._weight + (1 - _MEMORY)
        mean = self._mean / self._weight  # without it the mean would begin at 0
        if len(self.curve.losses) <= round(1 / (1 - _MEMORY)):
            self._first = mean
        self._least = min(self._least, mean)
        if mean > DIVERGED * self._least and mean > DIVERGED / 2 * self._first:
            self.curve.ended = f"the loss rose to {mean / self._least:.3g} times its best at rate {rate:.3g}"

    @torch.no_grad()
    def _check(self) -> tuple[dict[str, float], float]:
        started = self._clock()
        self._model.eval()
        sums = MetricSums(self._classes, self._device)
        for inputs, targets in self._pipeline.batches("validation"):
            with self._precision.autocast():
                outputs = self._model(inputs)
                loss = self._loss(outputs, targets)
            sums.update(loss, outputs, targets)
        self._model.train()
        result = sums.result()
        value = self._metric.value(result.get(self._metric.column.removeprefix("val_")))
        if value is not None:
            self.curve.checks.append((self.curve.rates[-1], value))
        return result, self._clock() - started

    def run(self) -> Iterator[EpochRecord]:
        """Every epoch to the end."""
        while not self.finished:
            yield self.run_epoch()

    def outcome(self) -> Outcome:
        """How it ended, with the bounds in ``found``: a sweep that diverges has done its work."""
        bounds = self.curve.bounds()
        fell_back = not bounds.usable
        found: dict[str, Any] = {
            "min_lr": self._plan.low if fell_back else bounds.low,
            "max_lr": self._plan.high if fell_back else bounds.high,
        }
        if fell_back:
            found["fallback"] = bounds.reason
        return Outcome(Status.COMPLETED, self._epoch, found=found)
