"""One training: a task, a schedule and a seed in, one ``EpochRecord`` per epoch out.

No Ray, no disk, no printing. Everything random comes from the trial's seed, so that on a CPU a trial
repeats bit by bit, alone or beside others, interrupted or not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lrstudy.engine.step import PlainStep, build_step, step_key
from lrstudy.records import EpochRecord, Phase, Status
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.outcome import Outcome, best_index, divergence, objective_of
from lrstudy.rules.seeding import derive_seed
from lrstudy.schedules import Measurement, ScheduleContext, build_schedule
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

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """What makes one trial: which schedule, with which hyperparameters, on which seed."""

    trial_id: str
    phase: Phase
    schedule: str
    kind: str
    params: Mapping[str, Any]
    seed: int


def run_trial(
    study: Study, data: TaskData, config: TrialConfig, device: torch.device
) -> Iterator[EpochRecord]:
    """Train to the end of the budget or to divergence, yielding a record after every epoch.

    The plain way in. ``Training`` is for whoever also wants the outcome or a checkpoint.
    """
    training = Training(study, data, config, device)
    try:
        while not training.finished:
            yield training.run_epoch()
    finally:
        training.close()


class Training:
    """A trial in progress.

    ``run_epoch`` until ``finished``, then ``outcome``. ``state_dict`` between two epochs holds all that
    the rest of the trial depends on; a ``Training`` that loads it continues as if never interrupted.
    """

    def __init__(
        self,
        study: Study,
        data: TaskData,
        config: TrialConfig,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        task = study.task
        self._study, self._config, self._device, self._clock = study, config, device, clock
        self._metric = METRICS[study.target.metric]
        self.pipeline = Pipeline(data, task, device)
        self._precision = precision_of(task, device)
        # Dropout has no generator of its own: the global one is seeded per trial and saved with it.
        torch.manual_seed(derive_seed(config.seed, "dropout"))
        self.order = torch.Generator(device=device).manual_seed(derive_seed(config.seed, "order"))
        model = build_model(
            task.model, self.pipeline.input_shape, self.pipeline.outputs, derive_seed(config.seed, "model")
        )
        self.model: nn.Module = self._precision.prepare(model.to(device))
        self._loss = build_loss(task.loss)
        optimizer = build_optimizer(task.optimizer, self.model)
        started = clock()
        self.schedule = build_schedule(config.kind, config.params, self._context(optimizer))
        # Building a schedule that measures before the first epoch is part of what that epoch costs.
        self._setup_seconds = clock() - started
        self.optimizer = self.schedule.optimizer
        plain = PlainStep(self.model, self._loss, self._precision, self.optimizer)
        self._step = build_step(study.resources.step, plain, device, step_key(task, self.pipeline))
        self._in_epoch = False
        self._classes = data.classes
        self._epoch = self._steps = self._samples = 0
        self._values: list[float] = []
        self._best_state: dict[str, Tensor] | None = None
        self._diverged: str | None = None

    def _context(self, optimizer: torch.optim.Optimizer) -> ScheduleContext:
        task = self._study.task
        return ScheduleContext(
            optimizer=optimizer,
            model=self.model,
            loss_name=task.loss.name,
            loss_options=dict(task.loss.options),
            epochs=task.epochs,
            steps_per_epoch=self.pipeline.steps_per_epoch,
            batches=self._batches,
            seed=derive_seed(self._config.seed, "schedule"),
            higher_is_better=self._metric.higher_is_better,
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The training split for a schedule; a user's own gets copies, because it may write into them."""
        own = ":" in self._config.kind
        for inputs, targets in self.pipeline.batches("train", self._study.task.batch_size):
            yield (inputs.clone(), targets.clone()) if own else (inputs, targets)

    @property
    def epoch(self) -> int:
        """How many epochs have been run."""
        return self._epoch

    @property
    def note(self) -> str | None:
        """What a reader of the run's log should know of how it was trained, if anything."""
        return self._step.note

    @property
    def finished(self) -> bool:
        """Whether the budget is used up or the trial has diverged."""
        return self._diverged is not None or self._epoch >= self._study.task.epochs

    def run_epoch(self) -> EpochRecord:
        """Train one epoch, evaluate it, let the schedule see the result; returns what was measured."""
        self._in_epoch = True  # and so it stays where anything raises
        measured = self.schedule.measurement
        started = self._clock()
        rates, train = self._train()
        estimate_seconds = self.schedule.take_estimate_seconds()
        train_seconds = self._clock() - started
        started = self._clock()
        validation = self._evaluate("validation")
        seconds = (train_seconds, estimate_seconds, self._clock() - started)
        return self.note_epoch(measured, rates, train, validation, seconds)

    def note_epoch(
        self,
        measured: Measurement,
        rates: Sequence[float],
        train: Mapping[str, float],
        validation: Mapping[str, float],
        seconds: tuple[float, float, float],
    ) -> EpochRecord:
        """Record an epoch that has been trained, judge it, and let the schedule set the next one's rate.

        ``run_epoch`` ends with it; so does whoever trains an epoch of several trials at a time. ``rates``
        are those of its steps, ``seconds`` what training, measuring and evaluating took.
        """
        train_seconds, estimate_seconds, eval_seconds = seconds
        self._steps += len(rates)
        self._samples += self.pipeline.rows_per_epoch
        # An optimizer that finds its own step size (DoG) has none before its first step.
        rates = [rate for rate in rates if not math.isnan(rate)] or rates
        self._epoch += 1
        record = EpochRecord(
            epoch=self._epoch,
            step=self._steps,
            samples=self._samples,
            train_seconds=train_seconds + self._setup_seconds,
            estimate_seconds=estimate_seconds,
            eval_seconds=eval_seconds,
            lr=_mean(rates),
            lr_min=min(rates),
            lr_max=max(rates),
            train_loss=train["loss"],
            train_accuracy=train.get("accuracy"),
            train_r2=train.get("r2"),
            val_loss=validation["loss"],
            val_accuracy=validation.get("accuracy"),
            val_r2=validation.get("r2"),
            lipschitz_constant=measured.constant,
            kz=measured.kz,
            weight_norm=measured.weight_norm,
        )
        self._note(record)
        self._in_epoch = False
        return record

    def _train(self) -> tuple[list[float], dict[str, float]]:
        self.model.train()
        self.schedule.before_training()
        sums = MetricSums(self._classes, self._device)
        rates: list[float] = []
        for inputs, targets in self.pipeline.train_batches(self.order):
            rates.append(self.schedule.rate)
            loss, outputs = self._step(inputs, targets)  # forward, loss, backward, update
            self.schedule.after_step()
            sums.update(loss, outputs, targets)
        return rates, sums.result()

    @torch.no_grad()
    def _evaluate(self, split: Literal["validation", "test"]) -> dict[str, float]:
        self.model.eval()
        self.schedule.before_evaluation()
        sums = MetricSums(self._classes, self._device)
        for inputs, targets in self.pipeline.batches(split):
            with self._precision.autocast():
                outputs = self.model(inputs)
                loss = self._loss(outputs, targets)
            sums.update(loss, outputs, targets)
        return sums.result()

    def _note(self, record: EpochRecord) -> None:
        """Judge the epoch just recorded, and let the schedule set the next one's rate."""
        self._diverged = divergence(record, self._study.task.divergence)
        stored = getattr(record, self._metric.column)
        value = self._metric.value(stored)
        self._values.append(math.nan if value is None or self._diverged else value)
        if self._config.phase is Phase.CONFIRM and self._best_index() == len(self._values) - 1:
            self._best_state = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self._setup_seconds = 0.0
        if not self.finished:
            started = self._clock()
            self.schedule.after_epoch(value)
            self._setup_seconds = self._clock() - started

    def _best_index(self) -> int | None:
        return best_index(self._values, self._metric)

    def outcome(self) -> Outcome:
        """How the trial ended; for a confirm trial, measures the test split at its best epoch.

        Call once, when ``finished`` (or when a pruner ended the trial: its caller then sets the status).
        """
        best = self._best_index()
        status = Status.DIVERGED if self._diverged else Status.COMPLETED
        outcome = Outcome(status, self._epoch, objective=self.objective, error=self._diverged)
        if best is not None:
            outcome.best_val, outcome.best_epoch = self._values[best], best + 1
        if self._best_state is not None and status is not Status.DIVERGED:
            self.model.load_state_dict(self._best_state)
            outcome.test = self._evaluate("test")
        return outcome

    @property
    def objective(self) -> float | None:
        """What tuning compares, as it stands after the last epoch; None where nothing finite was measured."""
        return None if self._diverged else objective_of(self._study, self._values)

    def state_dict(self) -> State:
        """Everything the rest of the trial depends on: tensors and plain numbers, lists and dicts only."""
        state: State = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "order": self.order.get_state(),
            "rng": torch.get_rng_state(),
            "counters": [self._epoch, self._steps, self._samples],
            "setup_seconds": self._setup_seconds,
            "values": list(self._values),
            "best_state": self._best_state,
            "diverged": self._diverged,
        }
        if self._device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self._device)
        return state

    def load_state_dict(self, state: State) -> None:
        """Continue where ``state_dict`` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"].cpu())
        torch.set_rng_state(state["rng"].cpu())
        if self._device.type == "cuda" and "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu(), self._device)
        self._epoch, self._steps, self._samples = state["counters"]
        self._setup_seconds = state["setup_seconds"]
        self._values = list(state["values"])
        self._best_state = state["best_state"]
        self._diverged = state["diverged"]

    def close(self) -> None:
        """End the trial: take its hooks off the model, whose tensors the next trial may write to."""
        self.schedule.close()
        self._step.close(keep=not self._in_epoch)


def _mean(rates: Sequence[float]) -> float:
    # A constant rate is recorded as itself, not as its rounded sum divided by its count.
    return rates[0] if min(rates) == max(rates) else math.fsum(rates) / len(rates)
