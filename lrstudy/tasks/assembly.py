"""The one place that puts the parts of a training together: batches, model, loss and optimizer.

Everything that trains or tries out a task takes its parts from here, so that all of it computes alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import Optimizer

from lrstudy.rules.seeding import derive_seed
from lrstudy.tasks.loader_pipeline import LoaderPipeline
from lrstudy.tasks.losses import Loss, build_loss
from lrstudy.tasks.metric_sums import MetricSums
from lrstudy.tasks.models import build_model
from lrstudy.tasks.named_metrics import NamedMetrics
from lrstudy.tasks.optimizers import build_optimizer
from lrstudy.tasks.pipeline import Pipeline
from lrstudy.tasks.precision import Precision, precision_of
from lrstudy.tasks.task_data import TaskData

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds of a training: of the model's weights, of the order of the rows, and of dropout.

    Dropout has no generator: with a seed for it, torch's global random state is set. None leaves that state
    as it is, for parts that are only tried out.
    """

    model: int = 0
    order: int = 0
    dropout: int | None = None

    @classmethod
    def of_trial(cls, seed: int) -> Seeds:
        """Derive all of them from a trial's seed."""
        return cls(*(derive_seed(seed, name) for name in ("model", "order", "dropout")))


@dataclass(frozen=True, slots=True)
class TrainingParts:
    """The parts of one training of a task on ``device``.

    The model is on the device, in the task's precision and in training mode. ``order`` draws the order of
    the rows; ``classes`` is the number of classes, None for a regression.
    """

    task: TaskSpec
    device: torch.device
    pipeline: Pipeline
    precision: Precision
    model: nn.Module
    loss: Loss
    optimizer: Optimizer
    order: torch.Generator
    classes: int | None

    def new_optimizer(self) -> Optimizer:
        """Return another optimizer over the same model, in its first state."""
        return build_optimizer(self.task.optimizer, self.model)

    def new_metrics(self) -> NamedMetrics:
        """Return the task's further metrics, for one pass over a split."""
        return NamedMetrics(self.task.metrics, self.classes, self.task.loss.name, self.device)

    def new_sums(self) -> MetricSums:
        """Return empty sums for the metrics of one pass over a split."""
        return MetricSums(self.classes, self.device)


def assemble(
    task: TaskSpec, data: TaskData, device: torch.device, seeds: Seeds | None = None
) -> TrainingParts:
    """Build the parts of a training of ``task``; without ``seeds``, as ``Seeds()``.

    Also sets torch's process-wide switches to what the task asks for. Raises ``StudyFileError`` for unknown
    names, unusable options and parts that do not fit the data, ``ContractError`` for a user's own model that
    breaks the contract.
    """
    seeds = Seeds() if seeds is None else seeds
    kind = Pipeline if data.streams is None else LoaderPipeline
    pipeline = kind(data, task, device)
    precision = precision_of(task, device)
    if seeds.dropout is not None:
        torch.manual_seed(seeds.dropout)
    order = torch.Generator(device=device).manual_seed(seeds.order)
    model = build_model(task.model, pipeline.input_shape, pipeline.outputs, seeds.model)
    model = precision.prepare(model.to(device))
    optimizer = build_optimizer(task.optimizer, model)
    return TrainingParts(
        task=task,
        device=device,
        pipeline=pipeline,
        precision=precision,
        model=model,
        loss=build_loss(task.loss).to(device),
        optimizer=optimizer,
        order=order,
        classes=data.classes,
    )
