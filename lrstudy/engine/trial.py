"""One training: a task, a schedule and a seed in, one ``EvaluationRecord`` per epoch out.

No Ray, no disk, no printing. All random numbers come from the trial's seed, so that on a CPU a trial
repeats bit by bit, alone or beside others, interrupted or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lrstudy.engine.device_random_states import random_states, restore_random_states
from lrstudy.engine.epoch_steps import EpochSteps
from lrstudy.engine.evaluation import Evaluations
from lrstudy.engine.plain_step import mean_loss
from lrstudy.engine.schedule_context import context_of
from lrstudy.engine.step import build_step
from lrstudy.engine.stretch import Stretch
from lrstudy.engine.training_diagnosis import Diagnosis
from lrstudy.engine.values_so_far import ValuesSoFar
from lrstudy.engine.weight_average import WeightAverage
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.metrics import CLIPPED_SHARE
from lrstudy.rules.outcome import Outcome
from lrstudy.schedules import Schedule, ScheduleContext, build_schedule
from lrstudy.spec.hyperparameters import schedule_params
from lrstudy.spec.searched_values import study_of_trial
from lrstudy.tasks import Seeds, TaskData, assemble
from lrstudy.tasks.precision import check_precision

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """The configuration of one trial: its schedule, hyperparameters and seed.

    ``params`` are those of the schedule and, with a dot in the name, values of the task
    (``spec.hyperparameters``). ``replicate`` (from 1) is the tuning of the schedule that it belongs to, and
    ``cap`` the time to the primary target that it has to beat (``rules.early_stop``).
    """

    trial_id: str
    phase: Phase
    schedule: str
    kind: str
    params: Mapping[str, Any]
    seed: int
    replicate: int = 1
    cap: float | None = None


class Training:
    """A trial in progress.

    Call ``run_to_evaluation`` until ``finished``, then ``outcome``. ``state_dict`` between two evaluations
    holds the whole state of the trial; a ``Training`` that loads it continues as if never interrupted.
    ``schedule`` builds the schedule instead of the one that ``config`` names.
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
        # The columns of a store are those of the study's own task, whatever loss a method has.
        self._declared = tuple(study.declared_metrics)
        study = study_of_trial(study, config.schedule, config.params)
        self._study, self._config, self._device, self._clock = study, config, device, clock
        self._metric = study.metric
        self.parts = assemble(study.built_in, data, device, Seeds.of_trial(config.seed))
        self.pipeline, self.model, self.order = self.parts.pipeline, self.parts.model, self.parts.order
        task = study.built_in
        check_precision(task, device)
        self._average = None if task.ema is None else WeightAverage(self.model, task.ema)
        started = clock()
        params = schedule_params(config.params)
        build = partial(build_schedule, config.kind, params) if schedule is None else schedule
        self.schedule = build(context_of(study, self.parts, config.kind, config.seed))
        # A schedule may measure when it is built; that time counts towards the first epoch.
        self._setup_seconds = clock() - started
        average = None if self._average is None else self._average.model
        self._evaluations = Evaluations(self.parts, self.schedule, self._metric, clock, average)
        self.optimizer = self.schedule.optimizer
        self._step = build_step(
            self.parts,
            study.resources.step,
            self.optimizer,
            compiled=task.compile,
            before_update=self.schedule.before_step if self.schedule.needs_loss else None,
        )
        diagnosed = bool(task.diagnose) and schedule is None  # a range test moves its rate at each step
        self._diagnosis = Diagnosis(self.parts, config.seed, clock) if diagnosed else None
        self._place = EpochSteps(self.pipeline, self.order)
        self._training = False
        self._epoch = self._steps = self._samples = 0
        self._values = ValuesSoFar(study, config.phase)
        self._ended = False

    @property
    def epoch(self) -> int:
        """The number of epochs that have ended; one that the schedule ended counts."""
        return self._epoch

    @property
    def note(self) -> str | None:
        """A remark on the training for the run's log, or None."""
        return self._step.note

    @property
    def finished(self) -> bool:
        """Return True if the budget is used up, the trial has diverged or its schedule has ended it."""
        watching = self._evaluations.watching
        ended = self._ended or (watching is not None and watching.ended)
        return ended or self._values.diverged is not None or self._epoch >= self._study.built_in.epochs

    def run(self) -> Iterator[EvaluationRecord]:
        """Train to the end; yield a record after every epoch."""
        while not self.finished:
            yield self.run_to_evaluation()

    def run_to_evaluation(self) -> EvaluationRecord:
        """Train to the next evaluation, by default for an epoch; evaluate and return the record."""
        self._training = True  # stays True if anything raises
        self._evaluations.begin()
        if self._diagnosis is not None:
            self.schedule.before_training()
            self._diagnosis.measure(self.optimizer)
        started = self._clock()
        rates, train = self._train()
        measured = self.schedule.measurement
        estimate_seconds = self.schedule.take_estimate_seconds()
        train_seconds = self._clock() - started - self._evaluations.seconds
        validation = self._evaluations.end()
        measuring = 0.0 if self._diagnosis is None else self._diagnosis.seconds
        seconds = (train_seconds, estimate_seconds, self._evaluations.seconds + measuring)
        return self._record(Stretch(rates, measured, train, validation, seconds))

    def note_epoch(self, epoch: Stretch) -> EvaluationRecord:
        """Record an epoch of several trials trained together, as ``run_to_evaluation`` does for one alone."""
        self._place.done = len(epoch.rates)
        self._steps += len(epoch.rates)
        self._samples += self.pipeline.rows_per_epoch
        return self._record(epoch)

    def _record(self, stretch: Stretch) -> EvaluationRecord:
        """Record an evaluation and the training before it, and act on its metrics."""
        watching = self._evaluations.watching
        epoch_ends = self._place.exhausted or (watching is not None and watching.ended)
        self._epoch += epoch_ends
        metrics = {name: stretch.validation.get(name) for name in self._declared}
        if self._step.clip is not None:
            metrics[CLIPPED_SHARE] = self._step.clip.take_share()
        if self._diagnosis is not None:
            metrics |= self._diagnosis.after_steps(stretch.rate)
        record = stretch.record(
            evaluation=len(self._values) + 1,
            step=self._steps,
            samples=self._samples,
            epoch=float(self._epoch) if epoch_ends else self._samples / self.pipeline.rows_per_epoch,
            setup_seconds=self._setup_seconds,
            metrics=metrics,
        )
        may_diverge = self._evaluations.watching is None
        self._values.take(record, self._judged_model, may_diverge=may_diverge)
        self._setup_seconds = 0.0
        if epoch_ends:
            self._place.begin_epoch()
        if epoch_ends and not self.finished:
            started = self._clock()
            self.schedule.after_epoch(self._values.latest)
            self._setup_seconds = self._clock() - started
        self._training = False
        return record

    def _train(self) -> tuple[list[float], dict[str, float]]:
        """Take steps up to the next evaluation; return their rates and metrics."""
        sums, watching = self.parts.new_sums(), self._evaluations.watching
        rates: list[float] = []
        while True:
            self.model.train()
            self.schedule.before_training()
            for batches in self._place:
                rate = self.schedule.rate
                results = self._step.over(batches)  # forward, loss, backward, update
                rates.append(self.schedule.rate if self.schedule.needs_loss else rate)
                if self._average is not None:
                    self._average.update(self.model)
                self.schedule.after_step()
                self._steps += 1
                for (loss, outputs), (_, targets) in zip(results, batches, strict=True):
                    sums.update(loss, outputs, targets)
                    self._samples += len(targets)
                if watching is not None:
                    loss = mean_loss(results, batches)
                    if self._evaluations.end_after(watching, loss):
                        return rates, sums.result()
                if self._evaluation_due:
                    return rates, sums.result()
            self._epoch += 1
            self._place.begin_epoch()
            self.schedule.after_epoch(self._values.latest)

    @property
    def _evaluation_due(self) -> bool:
        """Return True if an evaluation follows the last step: by default, each epoch's last."""
        every = self._study.built_in.evaluate_every
        if every is None:
            return self._place.exhausted
        total = self._study.built_in.epochs * self.pipeline.steps_per_epoch
        return self._steps % every == 0 or self._steps >= total

    @property
    def _judged_model(self) -> nn.Module:
        """The model whose evaluation the study is judged by: the trained one, or its average."""
        averaged = self._average is not None and self._metric.column.startswith("ema_")
        return self._average.model if averaged and self._average is not None else self.model

    def outcome(self) -> Outcome:
        """Return the trial's outcome; for a confirm trial, measure the test split at its best epoch.

        Call once, when ``finished`` (or when a pruner ended the trial: its caller then sets the status).
        """
        if self._evaluations.watching is not None:
            return self._evaluations.watching.outcome(len(self._values))
        outcome = self._values.outcome()
        best_state = self._values.best_state
        if best_state is not None and outcome.status is not Status.DIVERGED:
            self.model.load_state_dict(best_state)
            outcome.test = self._evaluations.measure("test")
        return outcome

    @property
    def objective(self) -> float | None:
        """The value that tuning compares, after the last epoch; None if nothing finite was measured."""
        return self._values.objective

    def end(self) -> None:
        """End the training as if its budget were used up."""
        self._ended = True

    def state_dict(self) -> State:
        """Return the whole state of the trial: tensors and plain numbers, lists and dicts."""
        state: State = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "place": self._place.state_dict(),
            **random_states(self._device),
            "counters": [self._epoch, self._steps, self._samples],
            "setup_seconds": self._setup_seconds,
            **self._values.state_dict(),
            "step": self._step.state_dict(),
        }
        if self._average is not None:
            state["average"] = self._average.state_dict()
        return state

    def load_state_dict(self, state: State) -> None:
        """Continue from a ``state_dict``."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._place.load_state_dict(state["place"])
        restore_random_states(state, self._device)
        self._epoch, self._steps, self._samples = state["counters"]
        self._setup_seconds = state["setup_seconds"]
        self._values.load_state_dict(state)
        self._step.load_state_dict(state.get("step", {}))
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def close(self) -> None:
        """End the trial and remove its hooks from the model, whose tensors the next trial may write to."""
        self.schedule.close()
        self._step.close(keep=not self._training)
