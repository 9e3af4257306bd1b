"""The gradient of a batch: computed call by call, or captured once on a GPU and replayed.

A small network keeps a GPU waiting for Python: each layer is a few kernels of microseconds, launched one by
one. A CUDA graph launches all of them at once. What is captured is the forward pass, the loss and the
backward pass; the optimizer and the schedule run as always, so that every one of them works with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import torch
from torch import Tensor, nn

from lrstudy.tasks.precision import Precision

# A replayable computation: runs it again on whatever its input tensors hold by then.
Replay = Callable[[], None]
# Batches computed call by call before the capture: libraries set themselves up and choose their kernels.
_WARM_UP: Final = 3


class Gradient(Protocol):
    """``gradient(inputs, targets)`` → (loss, outputs), detached; leaves ``grad`` on every parameter.

    ``note`` says why it does not compute as it was asked to, if so.
    """

    note: str | None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of the mean loss of one batch."""
        ...


class PlainGradient:
    """Forward and backward, call by call."""

    def __init__(self, model: nn.Module, loss: nn.Module, precision: Precision) -> None:
        self.model, self._loss, self._precision = model, loss, precision
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of the mean loss of one batch."""
        self.model.zero_grad(set_to_none=True)
        with self._precision.autocast():
            outputs = self.model(inputs)
            loss = self._loss(outputs, targets)
        loss.backward()
        return loss.detach(), outputs.detach()


class CapturedGradient:
    """The same, captured as a CUDA graph at the fourth batch and replayed from then on.

    The first batches are computed plainly (on a side stream, as a capture wants it). A batch of another
    shape than the first, such as an epoch's last, is computed plainly too. Where the capture fails, every
    later batch is, and ``note`` says why. The model must do the same for every batch of one shape: what it
    decides from a tensor's values, or counts in Python, stays as it was at the capture.
    """

    def __init__(
        self,
        plain: PlainGradient,
        capture: Callable[[Callable[[], None]], Replay] | None = None,
        warm_up: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._plain = plain
        self._capture, self._warm_up = capture or _capture, warm_up or _on_side_stream
        self._warm = 0
        self._batch: tuple[Tensor, Tensor] | None = None
        self._replay: Replay | None = None
        self._found: tuple[Tensor, Tensor] | None = None
        self._grads: list[tuple[nn.Parameter, Tensor]] = []
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of the mean loss of one batch."""
        if self._batch is None:
            self._batch = inputs.clone(), targets.clone()
        if self.note is not None or not self._fits(inputs, targets):
            return self._plain(inputs, targets)
        self._batch[0].copy_(inputs)
        self._batch[1].copy_(targets)
        if self._warm < _WARM_UP:
            self._warm += 1
            self._warm_up(self._compute)
        else:
            if self._replay is None and not self._captured():
                return self._plain(inputs, targets)
            assert self._replay is not None
            self._replay()
            for parameter, grad in self._grads:  # a plain batch may have put others there
                parameter.grad = grad
        assert self._found is not None
        loss, outputs = self._found
        return loss.clone(), outputs.clone()

    def _fits(self, inputs: Tensor, targets: Tensor) -> bool:
        assert self._batch is not None
        return inputs.shape == self._batch[0].shape and targets.shape == self._batch[1].shape

    def _compute(self) -> None:
        assert self._batch is not None
        self._found = self._plain(*self._batch)

    def _captured(self) -> bool:
        """Capture, which computes nothing yet; whether it went well."""
        try:
            self._replay = self._capture(self._compute)
        except Exception as error:  # noqa: BLE001 - what a model does that cannot be captured has no end
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.note = f"the step could not be captured and is computed call by call: {first}"
            return False
        self._grads = [(p, p.grad) for p in self._plain.model.parameters() if p.grad is not None]
        return True


def build_gradient(
    step: str, model: nn.Module, loss: nn.Module, precision: Precision, device: torch.device
) -> Gradient:
    """What computes a trial's gradients: ``step`` is ``eager`` or ``captured``, the latter on a GPU only."""
    plain = PlainGradient(model, loss, precision)
    if step == "captured":
        if device.type == "cuda":
            return CapturedGradient(plain)
        plain.note = f"a step is captured on a GPU only, not on a {device.type}: it is computed call by call"
    return plain


def _on_side_stream(compute: Callable[[], None]) -> None:
    stream: Callable[[], torch.cuda.Stream] = torch.cuda.Stream  # torch leaves it without types
    side = stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        compute()
    torch.cuda.current_stream().wait_stream(side)


def _capture(compute: Callable[[], None]) -> Replay:
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        compute()
    return graph.replay
