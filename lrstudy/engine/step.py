"""A training step: computed call by call, or (``captured``) replayed as one graph on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrstudy.catalog.task_parts import TORCHVISION
from lrstudy.engine.captured_step import CapturedStep
from lrstudy.engine.gradient_clip import GradientClip
from lrstudy.engine.plain_step import PlainStep
from lrstudy.tasks import TrainingParts
from lrstudy.tasks.pipeline import Batch

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec
    from lrstudy.tasks.pipeline import Pipeline


class Step(Protocol):
    """``step(inputs, targets)`` → (loss, outputs), detached: forward, loss, backward and update.

    ``note`` says why it is not computed in the requested way, if so.
    """

    note: str | None

    @property
    def clip(self) -> GradientClip | None:
        """The clipping of the gradient, if it is clipped."""
        ...

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a batch; the loss is its mean loss before the update."""
        ...

    def over(self, batches: Sequence[Batch]) -> list[tuple[Tensor, Tensor]]:
        """Take one step on several batches; return the loss and the outputs of each."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint needs: plain numbers."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        ...

    def close(self, *, keep: bool) -> None:
        """End the trial. ``keep``: it ended without an error, and later trials may reuse the capture."""
        ...


def build_step(
    parts: TrainingParts,
    how: str,
    optimizer: Optimizer | None = None,
    *,
    shared: bool = True,
    compiled: bool = False,
    before_update: Callable[[Tensor], None] | None = None,
) -> Step:
    """Build the step of a training from its parts; ``how`` is ``eager`` or ``captured``.

    ``optimizer`` replaces that of the parts, as a schedule may. If ``shared``, later trials of the same task
    in this process reuse a captured step. With ``compiled`` the model is compiled: the hooks of a schedule
    must be on it by then. ``before_update`` is called with the loss ahead of each update.
    """
    optimizer = parts.optimizer if optimizer is None else optimizer
    clip_norm = parts.task.clip_norm
    plain = PlainStep(
        parts.model,
        parts.loss,
        parts.precision,
        optimizer,
        clip_norm,
        compiled=compiled,
        before_update=before_update,
    )
    key = step_key(parts.task, parts.pipeline) if shared else None
    return choose_step(how, plain, parts.device, key, accumulate=parts.task.accumulate)


def choose_step(
    how: str, plain: PlainStep, device: torch.device, key: Hashable | None, *, accumulate: int = 1
) -> Step:
    """Return the step, captured if ``how`` is ``captured`` and the device is a GPU.

    Trials with the same ``key`` (see ``step_key``) in one process share a captured step; with None it is not
    shared.
    """
    if how == "captured":
        if device.type == "cuda" and plain.scaler is None and accumulate == 1:
            return CapturedStep(plain, key)
        if device.type != "cuda":
            reason = f"on a GPU only, not on a {device.type}"
        else:
            reason = "with one batch only (task.accumulate)" if accumulate > 1 else "without fp16 only"
        plain.note = f"a step is captured {reason}: it is computed call by call"
    return plain


def step_key(task: TaskSpec, pipeline: Pipeline) -> Hashable | None:
    """Return the settings that determine a task's forward and backward pass; model and batch values excepted.

    None for a user's own model or loss: it may hold tensors that torch does not list (neither parameters nor
    buffers) or depend on its seed, and a later trial's would not be the captured one.
    """
    name = task.model.name
    if (":" in name and not name.startswith(TORCHVISION)) or task.loss.is_users_own:
        return None
    passes = (task.model, task.loss, task.precision, task.channels_last, task.deterministic)
    return f"{passes} {pipeline.input_shape} {pipeline.outputs}"
