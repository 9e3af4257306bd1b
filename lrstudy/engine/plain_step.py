"""The training step, computed call by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.engine.gradient_clip import GradientClip
from lrstudy.tasks import Precision
from lrstudy.tasks.model_outputs import logits_of
from lrstudy.tasks.pipeline import Batch


def compile_for_trial(model: nn.Module) -> Callable[[Tensor], Any]:
    """Return a model compiled with the hooks that are on it; what was compiled before is dropped.

    torch would reuse the code of an earlier trial's model, which may have had other hooks.
    """
    torch.compiler.reset()
    return torch.compile(model)


def mean_loss(results: Sequence[tuple[Tensor, Tensor]], batches: Sequence[Batch]) -> Tensor:
    """Return the loss of a step from those of its batches, each of which counts by its rows."""
    if len(results) == 1:
        return results[0][0]
    rows = sum(len(targets) for _, targets in batches)
    parts = [loss * (len(targets) / rows) for (loss, _), (_, targets) in zip(results, batches, strict=True)]
    return torch.stack(parts).sum()


class PlainStep:
    """Forward, loss, backward, clipping to ``clip_norm`` (None: any norm) and update, call by call.

    With ``compiled`` the forward and the backward pass of the model are compiled. ``before_update`` is called
    with the step's loss ahead of clipping and update, for a schedule that needs it and the gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        precision: Precision,
        optimizer: Optimizer,
        clip_norm: float | None = None,
        *,
        compiled: bool = False,
        before_update: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.model, self.optimizer, self.before_update = model, optimizer, before_update
        self._forward: Callable[[Tensor], Any] = compile_for_trial(model) if compiled else model
        self.clip = None if clip_norm is None else GradientClip(clip_norm, optimizer)
        self.scaler = torch.amp.GradScaler(precision.device_type) if precision.fp16 else None
        self._loss, self._precision = loss, precision
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a batch."""
        result = self.gradient(inputs, targets)
        self.update(result[0])
        return result

    def over(self, batches: Sequence[Batch]) -> list[tuple[Tensor, Tensor]]:
        """Take one step on several batches; each counts by its rows, as if they were one batch."""
        if len(batches) == 1:
            return [self(*batches[0])]
        rows = sum(len(targets) for _, targets in batches)
        self.model.zero_grad(set_to_none=True)
        results = [self._add_gradient(*batch, share=len(batch[1]) / rows) for batch in batches]
        self.update(mean_loss(results, batches))
        return results

    def gradient(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Compute all of the step but the update; ``grad`` stays on the parameters."""
        self.model.zero_grad(set_to_none=True)
        return self._add_gradient(inputs, targets)

    def _add_gradient(self, inputs: Tensor, targets: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
        """Add ``share`` of a batch's gradient to ``grad``; return its whole loss and its outputs."""
        with self._precision.autocast():
            outputs = logits_of(self._forward(inputs))
            loss = self._loss(outputs, targets)
        total = loss if share == 1.0 else loss * share
        (total if self.scaler is None else self.scaler.scale(total)).backward()
        return loss.detach(), outputs.detach()

    def update(self, loss: Tensor) -> None:
        """Clip the gradient if it is to be clipped, and take the optimizer's step; ``loss`` is the step's.

        With a gradient scaler, a step whose gradient is not finite is skipped, and the scale is lowered.
        """
        if self.scaler is not None and (self.clip is not None or self.before_update is not None):
            self.scaler.unscale_(self.optimizer)
        if self.before_update is not None:
            self.before_update(loss)
        if self.clip is not None:
            self.clip()
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the gradient scaler: plain numbers; empty without one."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        if self.scaler is not None:
            self.scaler.load_state_dict(state)

    def close(self, *, keep: bool) -> None:
        """Do nothing: the step holds no resources."""
