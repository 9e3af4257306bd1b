"""The checks of users' own losses and optimizers, on a few rows, before a study starts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrstudy.errors import Problem
from lrstudy.rules.user_modules import cause_of
from lrstudy.tasks.assembly import TrainingParts
from lrstudy.tasks.combined_optimizer import CombinedOptimizer
from lrstudy.tasks.losses import Loss

_TOLERANCE: Final = 1e-3
_LIKE_TORCH: Final = "Write it as torch's own are, which read lr and the rest from their groups in each step."


def loss_problems(loss: Loss, outputs: Tensor, targets: Tensor) -> Iterator[Problem]:
    """Yield what is wrong with a user's own loss of these outputs, which have a gradient."""

    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "loss", message, remedy, loss.name)

    shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
    leaf = outputs.detach().requires_grad_()
    try:
        value, twice = loss(leaf, targets), loss(leaf.repeat(2, 1), torch.cat([targets, targets]))
        if not isinstance(value, Tensor) or value.shape != ():
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            yield problem(f"gives {got} for {shapes}, not a scalar", "Return the mean over the rows.")
            return
        (gradient,) = torch.autograd.grad(value, leaf)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        remedy = "Make it take such outputs and targets, or choose another loss."
        yield problem(f"fails on {shapes}: {cause_of(error)}", remedy)
        return
    if not bool(torch.isfinite(value)) or not bool(torch.isfinite(gradient).all()):
        yield problem(f"or its gradient is not finite for {shapes}", "Correct it.")
    elif float(value.detach()) and abs(float(twice.detach()) / float(value.detach()) - 2) < _TOLERANCE:
        yield problem("is a sum over the rows: it doubles with them", "Return their mean.")


def optimizer_problems(parts: TrainingParts) -> Iterator[Problem]:
    """Yield what is wrong with a user's own optimizer; the parameters of the model have gradients."""
    optimizer = parts.optimizer
    name = parts.task.optimizer.name
    if not (":" in name or isinstance(optimizer, CombinedOptimizer)):
        return

    def problem(message: str, remedy: str = _LIKE_TORCH) -> Problem:
        return Problem("task", "optimizer", message, remedy, name)

    lost = [group for group in optimizer.param_groups if "lr" not in group]
    if lost:
        yield problem("has a group without lr")
        return
    try:
        once, double = _stepped(parts, 1.0), _stepped(parts, 2.0)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        message = f"fails in its first steps: {cause_of(error)}"
        yield problem(message, "Choose one whose step() takes no argument and fits the model's parameters.")
        return
    if not all(bool(torch.isfinite(value).all()) for value in once[1]):
        yield problem("makes the weights NaN or infinite in its first steps", "Give it a smaller lr.")
    elif all(torch.equal(one, two) for one, two in zip(once[1], double[1], strict=True)):
        yield problem("takes the same step whatever the lr in its groups: no schedule could change its rate")
    else:
        yield from _state_problems(parts, once[0])


def _stepped(parts: TrainingParts, factor: float) -> tuple[Optimizer, list[Tensor]]:
    """Return a new optimizer after two steps at a multiple of its rate, and the weights that they gave.

    Two, because some (SOAP) only prepare their state in the first. The model's weights and gradients are as
    before.
    """
    parameters = list(parts.model.parameters())
    before = [value.detach().clone() for value in parameters]
    gradients = [None if value.grad is None else value.grad.clone() for value in parameters]
    optimizer = parts.new_optimizer()
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * factor
    for _ in range(2):
        for value, gradient in zip(parameters, gradients, strict=True):
            value.grad = None if gradient is None else gradient.clone()
        optimizer.step()
    after = [value.detach().clone() for value in parameters]
    with torch.no_grad():
        for value, weight, gradient in zip(parameters, before, gradients, strict=True):
            value.copy_(weight)
            value.grad = gradient
    return optimizer, after


def _state_problems(parts: TrainingParts, stepped: Optimizer) -> Iterator[Problem]:
    """Yield a problem if its state cannot be saved in a checkpoint and loaded from it."""
    try:
        file = io.BytesIO()
        torch.save(stepped.state_dict(), file)
        file.seek(0)
        parts.new_optimizer().load_state_dict(torch.load(file, weights_only=True))
    except Exception as error:  # noqa: BLE001 - pickling and loading run the user's code
        message = f"has a state that no checkpoint can hold: {cause_of(error)}"
        remedy = "Keep only tensors and plain values in its state and its groups."
        yield Problem("task", "optimizer", message, remedy, parts.task.optimizer.name)
