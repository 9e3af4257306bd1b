"""A training step: computed call by call, or (``captured``) replayed as one graph on a GPU."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.catalog.task_parts import TORCHVISION
from lrstudy.tasks.precision import Precision

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec
    from lrstudy.tasks.pipeline import Pipeline


class Step(Protocol):
    """``step(inputs, targets)`` → (loss, outputs), detached: forward, loss, backward and update.

    ``note`` says why it does not compute as it was asked to, if so.
    """

    note: str | None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One step on a batch; the loss is its mean loss before the update."""
        ...

    def close(self, *, keep: bool) -> None:
        """The trial is over. ``keep``: it went well, so that later trials may use what it leaves."""
        ...


class PlainStep:
    """Forward, loss, backward and update, call by call."""

    def __init__(self, model: nn.Module, loss: nn.Module, precision: Precision, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self._loss, self._precision = loss, precision
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One step on a batch."""
        found = self.gradient(inputs, targets)
        self.optimizer.step()
        return found

    def gradient(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """All of the step but the update: leaves ``grad`` on the parameters."""
        self.model.zero_grad(set_to_none=True)
        with self._precision.autocast():
            outputs = self.model(inputs)
            loss = self._loss(outputs, targets)
        loss.backward()
        return loss.detach(), outputs.detach()

    def close(self, *, keep: bool) -> None:
        """Nothing is left."""


def build_step(how: str, plain: PlainStep, device: torch.device, key: Hashable | None) -> Step:
    """A trial's step: ``how`` is ``eager`` or ``captured``, the latter on a GPU only.

    Trials of one ``key`` (see ``step_key``) in one process share a captured step; None: no others may use it.
    """
    if how == "captured":
        if device.type == "cuda":
            from lrstudy.engine.captured_step import CapturedStep

            return CapturedStep(plain, key)
        plain.note = f"a step is captured on a GPU only, not on a {device.type}: it is computed call by call"
    return plain


def step_key(task: TaskSpec, pipeline: Pipeline) -> Hashable | None:
    """What a task's forward and backward pass depend on, but for the values in the model and the batch.

    None for a user's own model: it may hold tensors that torch does not know as its own (no parameters, no
    buffers) or be built by its seed, and a later trial's model would not be the one that was captured.
    """
    name = task.model.name
    if ":" in name and not name.startswith(TORCHVISION):
        return None
    passes = (task.model, task.loss, task.precision, task.channels_last, task.deterministic)
    return f"{passes} {pipeline.input_shape} {pipeline.outputs}"
