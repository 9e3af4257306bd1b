"""The trainings on which a study's schedules are checked, one for each set of values of the task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.compat.torch import make_optimizer
from lrstudy.schedules.protocol import ScheduleContext
from lrstudy.spec import FunctionTask, ScheduleSpec, Study
from lrstudy.spec.hyperparameters import task_params
from lrstudy.spec.searched_values import study_of_trial
from lrstudy.tasks import Pipeline, TaskData
from lrstudy.tasks.task_check import check_step

MakeContext = Callable[[], ScheduleContext]
"""Makes the context of a new training at each call, over one model that has gradients."""

# Sets of values of the task that are tried; each builds a model.
_MOST: Final = 16
_ROWS: Final = 4
_STEPS_PER_EPOCH: Final = 10  # of a user's training, where only its loader knows
_CLASSES: Final = 3


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a training that a schedule sees."""

    model: nn.Module
    new_optimizer: Callable[[], Optimizer]
    pipeline: Pipeline
    loss: str | nn.Module


class Contexts:
    """The contexts of a study's configurations.

    For a task that is not ``sound`` a linear model takes the place of its model.
    """

    def __init__(self, study: Study, data: TaskData | None, *, sound: bool) -> None:
        self._study, self._data, self._sound = study, data, sound
        self._tried: dict[str, set[str]] = {}
        # Those of the task's own values serve many schedules; of the others only the last is kept.
        self._kept: dict[str, MakeContext | None] = {}
        self._last: tuple[str, MakeContext | None] = ("", None)

    def of(self, schedule: ScheduleSpec, params: Mapping[str, Any]) -> MakeContext | None:
        """Return the context of a configuration; None where enough values of the task have been tried.

        Raises ``InputError`` if the parts of the task cannot be built or trained with these values; a second
        call then returns None.
        """
        values = task_params(params)
        key = f"{schedule.own_parts} {sorted(values.items())}"
        if key in self._kept or key == self._last[0]:
            return self._kept[key] if key in self._kept else self._last[1]
        tried = self._tried.setdefault(schedule.name, set())
        if values and key not in tried and len(tried) == _MOST:
            return None
        tried.add(key)
        self._keep(key, None, values)  # what cannot be built is reported once
        study = study_of_trial(self._study, schedule.name, params)
        return self._keep(key, self._make(study), values)

    def _keep(self, key: str, made: MakeContext | None, values: Mapping[str, Any]) -> MakeContext | None:
        if values:
            self._last = key, made
        else:
            self._kept[key] = made
        return made

    def _make(self, study: Study) -> MakeContext:
        if study.function is not None:
            return partial(_function_context, study, study.function, _linear_model(_CLASSES))
        assert self._data is not None
        return partial(self._context, study, self._parts(study, self._data))

    def _parts(self, study: Study, data: TaskData) -> _Parts:
        if self._sound:
            parts = check_step(study.built_in, data)
            return _Parts(parts.model, parts.new_optimizer, parts.pipeline, parts.loss.for_constants)
        model = _linear_model(1)
        optimizer = partial(make_optimizer, torch.optim.SGD, list(model.parameters()))
        return _Parts(
            model, optimizer, Pipeline(data, study.built_in, torch.device("cpu")), study.built_in.loss.name
        )

    def _context(self, study: Study, parts: _Parts) -> ScheduleContext:
        task = study.built_in

        def batches() -> list[tuple[Tensor, Tensor]]:
            return [next(parts.pipeline.batches("train", min(task.batch_size, _ROWS)))]

        return ScheduleContext(
            optimizer=parts.new_optimizer(),
            model=parts.model,
            loss_name=parts.loss,
            loss_options=dict(task.loss.options),
            epochs=task.epochs,
            steps_per_epoch=parts.pipeline.steps_per_epoch,
            batches=batches,
            seed=0,
            higher_is_better=study.metric.higher_is_better,
            accumulate=task.accumulate,
            batch_count=1,
        )


def _linear_model(outputs: int) -> nn.Module:
    model = nn.Linear(1, outputs)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return model


def _function_context(study: Study, task: FunctionTask, model: nn.Module) -> ScheduleContext:
    """Return stand-ins for what a user's training function gives its schedule."""
    per_epoch = task.steps_per_epoch or task.evaluate_every or _STEPS_PER_EPOCH
    epochs = task.epochs if task.steps is None else math.ceil(task.steps / per_epoch)
    assert epochs is not None
    return ScheduleContext(
        optimizer=make_optimizer(torch.optim.SGD, list(model.parameters()), lr=task.lr, momentum=0.9),
        model=model,
        loss_name="cross-entropy",
        loss_options={},
        epochs=epochs,
        steps_per_epoch=per_epoch,
        batches=lambda: [(torch.zeros(_ROWS, 1), torch.zeros(_ROWS, dtype=torch.int64))],
        seed=0,
        higher_is_better=study.metric.higher_is_better,
        steps=task.steps,
        batch_count=1,
    )
