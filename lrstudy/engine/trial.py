"""One training: a task, a schedule and a seed in, one ``EvaluationRecord`` per epoch out.

No Ray, no disk, no printing. All random numbers come from the trial's seed, so that on a CPU a trial
repeats bit by bit, alone or beside others, interrupted or not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lrstudy.engine.evaluation import Evaluations
from lrstudy.engine.step import build_step
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.outcome import Outcome, best_index, divergence, objective_of
from lrstudy.rules.seeding import derive_seed
from lrstudy.schedules import (
    Measurement,
    Schedule,
    ScheduleContext,
    build_schedule,
)
from lrstudy.spec import Study
from lrstudy.tasks import Seeds, TaskData, assemble

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """The configuration of one trial: its schedule, hyperparameters and seed."""

    trial_id: str
    phase: Phase
    schedule: str
    kind: str
    params: Mapping[str, Any]
    seed: int


def run_trial(
    study: Study, data: TaskData, config: TrialConfig, device: torch.device
) -> Iterator[EvaluationRecord]:
    """Train to the end of the budget or to divergence; yield a record after every epoch.

    Use ``Training`` for the outcome or a checkpoint.
    """
    training = Training(study, data, config, device)
    try:
        yield from training.run()
    finally:
        training.close()


class Training:
    """A trial in progress.

    Call ``run_epoch`` until ``finished``, then ``outcome``. ``state_dict`` between two epochs holds the whole
    state of the trial; a ``Training`` that loads it continues as if never interrupted. ``schedule`` builds
    the schedule instead of the one that ``config`` names.
    """

    def __init__(
        self,
        study: Study,
        data: TaskData,
        config: TrialConfig,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
        schedule: Callable[[ScheduleContext], Schedule] | None = None,
    ) -> None:
        self._study, self._config, self._device, self._clock = study, config, device, clock
        self._metric = study.metric
        self.parts = assemble(study.built_in, data, device, Seeds.of_trial(config.seed))
        self.pipeline, self.model, self.order = self.parts.pipeline, self.parts.model, self.parts.order
        started = clock()
        build = partial(build_schedule, config.kind, config.params) if schedule is None else schedule
        self.schedule = build(self._context())
        # A schedule may measure when it is built; that time counts towards the first epoch.
        self._setup_seconds = clock() - started
        self._evaluations = Evaluations(self.parts, self.schedule, self._metric, clock)
        self.optimizer = self.schedule.optimizer
        self._step = build_step(
            self.parts,
            study.resources.step,
            self.optimizer,
            before_update=self.schedule.before_step if self.schedule.needs_loss else None,
        )
        self._in_epoch = False
        self._epoch = self._steps = self._samples = 0
        self._values: list[float] = []
        self._best_state: dict[str, Tensor] | None = None
        self._diverged: str | None = None

    def _context(self) -> ScheduleContext:
        task = self._study.built_in
        return ScheduleContext(
            optimizer=self.parts.optimizer,
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
        """Yield the training split for a schedule; a user-defined one gets copies: it may write into them."""
        own = ":" in self._config.kind
        for inputs, targets in self.pipeline.batches("train", self._study.built_in.batch_size):
            yield (inputs.clone(), targets.clone()) if own else (inputs, targets)

    @property
    def epoch(self) -> int:
        """The number of epochs run; one that the schedule ended counts."""
        return self._epoch

    @property
    def note(self) -> str | None:
        """A remark on the training for the run's log, or None."""
        return self._step.note

    @property
    def finished(self) -> bool:
        """Return True if the budget is used up, the trial has diverged or its schedule has ended it."""
        watching = self._evaluations.watching
        ended = watching is not None and watching.ended
        return ended or self._diverged is not None or self._epoch >= self._study.built_in.epochs

    def run(self) -> Iterator[EvaluationRecord]:
        """Train to the end; yield a record after every epoch."""
        while not self.finished:
            yield self.run_epoch()

    def run_epoch(self) -> EvaluationRecord:
        """Train one epoch, evaluate it and pass the result to the schedule; return the record."""
        self._in_epoch = True  # stays True if anything raises
        self._evaluations.begin_epoch()
        measured = self.schedule.measurement
        started = self._clock()
        rates, train = self._train()
        estimate_seconds = self.schedule.take_estimate_seconds()
        train_seconds = self._clock() - started - self._evaluations.seconds
        validation = self._evaluations.end_epoch()
        seconds = (train_seconds, estimate_seconds, self._evaluations.seconds)
        return self.note_epoch(measured, rates, train, validation, seconds)

    def note_epoch(
        self,
        measured: Measurement,
        rates: Sequence[float],
        train: Mapping[str, float],
        validation: Mapping[str, float],
        seconds: tuple[float, float, float],
    ) -> EvaluationRecord:
        """Record a trained epoch, check it for divergence, and let the schedule set the next one's rate.

        Called at the end of ``run_epoch``, and of an epoch of several trials trained together. ``rates`` are
        those of its steps, ``seconds`` the time of training, measuring and evaluating.
        """
        train_seconds, estimate_seconds, eval_seconds = seconds
        self._steps += len(rates)
        # A schedule may end an epoch early; no batch but the last is smaller than batch_size.
        rows = len(rates) * self._study.built_in.batch_size
        self._samples += min(rows, self.pipeline.rows_per_epoch)
        # An optimizer that finds its own step size (DoG) has none before its first step.
        rates = [rate for rate in rates if not math.isnan(rate)] or rates
        self._epoch += 1
        record = EvaluationRecord(
            evaluation=self._epoch,
            step=self._steps,
            samples=self._samples,
            epoch=float(self._epoch),
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
        sums, watching = self.parts.new_sums(), self._evaluations.watching
        rates: list[float] = []
        for inputs, targets in self.pipeline.train_batches(self.order):
            rate = self.schedule.rate
            loss, outputs = self._step(inputs, targets)  # forward, loss, backward, update
            rates.append(self.schedule.rate if self.schedule.needs_loss else rate)
            self.schedule.after_step()
            sums.update(loss, outputs, targets)
            if watching is not None and self._evaluations.end_after(watching, loss):
                break
        return rates, sums.result()

    def _note(self, record: EvaluationRecord) -> None:
        """Check the recorded epoch for divergence, and let the schedule set the next one's rate."""
        if self._evaluations.watching is None:
            self._diverged = divergence(record, self._study.built_in.divergence)
        value = self._metric.value(record.value(self._metric.column))
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
        """Return the trial's outcome; for a confirm trial, measure the test split at its best epoch.

        Call once, when ``finished`` (or when a pruner ended the trial: its caller then sets the status).
        """
        if self._evaluations.watching is not None:
            return self._evaluations.watching.outcome(self._epoch)
        best = self._best_index()
        status = Status.DIVERGED if self._diverged else Status.COMPLETED
        outcome = Outcome(status, self._epoch, objective=self.objective, error=self._diverged)
        if best is not None:
            outcome.best_val, outcome.best_evaluation = self._values[best], best + 1
        if self._best_state is not None and status is not Status.DIVERGED:
            self.model.load_state_dict(self._best_state)
            outcome.test = self._evaluations.measure("test")
        return outcome

    @property
    def objective(self) -> float | None:
        """The value that tuning compares, after the last epoch; None if nothing finite was measured."""
        return None if self._diverged else objective_of(self._study, self._values)

    def state_dict(self) -> State:
        """Return the whole state of the trial: tensors and plain numbers, lists and dicts."""
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
        """Continue from a ``state_dict``."""
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
        """End the trial and remove its hooks from the model, whose tensors the next trial may write to."""
        self.schedule.close()
        self._step.close(keep=not self._in_epoch)


def _mean(rates: Sequence[float]) -> float:
    # A constant rate is recorded as itself, not as its rounded sum divided by its count.
    return rates[0] if min(rates) == max(rates) else math.fsum(rates) / len(rates)
