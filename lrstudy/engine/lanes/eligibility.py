"""The check that stacked layers compute what a task's own model computes, on a few rows.

Layers are known by their types, but a user's model may hold more than its types say: a frozen or a shared
parameter, a hook, rows of another shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

from lrstudy.engine.lanes.lane_losses import StackedLoss
from lrstudy.engine.lanes.stacked_model import stack
from lrstudy.spec.models import TaskSpec
from lrstudy.tasks import Seeds, TaskData, assemble
from lrstudy.tasks.losses import Loss

_ROWS: Final = 8
_SEEDS: Final = (0, 1)
# Stacked again in each: attributes that a model keeps outside its parameters are lost then.
_ROUNDS: Final = 2


def disagreement(task: TaskSpec, data: TaskData) -> str | None:
    """Return how a step and an evaluation of two lanes differ from plain ones of each, if they do."""
    alone, stacked = (
        [assemble(task, data, torch.device("cpu"), Seeds(model=seed)) for seed in _SEEDS] for _ in range(2)
    )
    inputs, targets = next(alone[0].pipeline.batches("train", _ROWS))
    inputs = inputs.double()
    targets = targets.double() if targets.is_floating_point() else targets
    models, lanes = ([parts.model.double() for parts in group] for group in (alone, stacked))
    loss = alone[0].loss
    try:
        for _ in range(_ROUNDS):
            ours = _side_by_side(lanes, loss, inputs, targets)
            theirs = [_alone(model, loss, inputs, targets) for model in models]
            for lane, model, found, wanted in zip(lanes, models, ours, theirs, strict=True):
                if not (_close(found, wanted) and _close(lane.buffers(), model.buffers())):
                    return "the model computes something else stacked than by itself"
    except Exception as error:  # noqa: BLE001 - whatever it is, the model is then trained as it always was
        return f"the model cannot be stacked: {type(error).__name__}: {error}"
    return None


def _side_by_side(
    models: list[nn.Module], loss: Loss, inputs: Tensor, targets: Tensor
) -> list[tuple[Tensor, ...]]:
    """Return the training outputs, loss, gradient and evaluation outputs of every lane."""
    stacked, losses, count = stack(models), StackedLoss(loss), len(models)
    inputs, targets = (tensor.expand(count, *tensor.shape) for tensor in (inputs, targets))
    outputs = stacked(inputs, training=True)
    gradients = stacked.layout.parts(stacked.backward(losses.gradient(outputs, targets)))
    gradient = torch.cat([part.flatten(1) for part in gradients], 1)
    evaluated = stacked(inputs, training=False)
    return list(zip(outputs, losses(outputs, targets), gradient, evaluated, strict=True))


def _alone(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    model.train()
    outputs = model(inputs)
    value = loss(outputs, targets)
    gradient = torch.autograd.grad(value, list(model.parameters()))
    with torch.no_grad():
        evaluated = model.eval()(inputs)
    return outputs.detach(), value.detach(), torch.cat([part.flatten() for part in gradient]), evaluated


def _close(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> bool:
    return all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )
