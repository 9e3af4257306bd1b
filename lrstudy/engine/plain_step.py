"""The training step, computed call by call."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.tasks import Precision


class PlainStep:
    """Forward, loss, backward and update, call by call."""

    def __init__(self, model: nn.Module, loss: nn.Module, precision: Precision, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self._loss, self._precision = loss, precision
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a batch."""
        result = self.gradient(inputs, targets)
        self.optimizer.step()
        return result

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
