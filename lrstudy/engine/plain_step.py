"""The training step, computed call by call."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.tasks import Precision


class PlainStep:
    """Forward, loss, backward and update, call by call.

    ``before_update``, if given, is called with the loss when the gradients are on the parameters.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        precision: Precision,
        optimizer: Optimizer,
        before_update: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.model, self.optimizer, self.before_update = model, optimizer, before_update
        self._loss, self._precision = loss, precision
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a batch."""
        result = self.gradient(inputs, targets)
        self.update(result[0])
        return result

    def update(self, loss: Tensor) -> None:
        """Update the parameters with their gradients; ``loss`` is the step's."""
        if self.before_update is not None:
            self.before_update(loss)
        self.optimizer.step()

    def gradient(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Compute all of the step but the update; ``grad`` stays on the parameters."""
        self.model.zero_grad(set_to_none=True)
        with self._precision.autocast():
            outputs = self.model(inputs)
            loss = self._loss(outputs, targets)
        loss.backward()
        return loss.detach(), outputs.detach()

    def close(self, *, keep: bool) -> None:
        """Do nothing: the step holds no resources."""
