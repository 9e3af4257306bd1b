"""Losses and metrics of lanes, computed for all of them at once."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from lrstudy.tasks import MetricSums
from lrstudy.tasks.losses import Loss
from lrstudy.tasks.metric_sums import chosen_classes

# Steps whose metrics are computed together.
_TOGETHER: Final = 64


class StackedLoss:
    """Every lane's mean loss of outputs (lanes, rows, …) and targets (lanes, rows, …), and its gradient."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._plain = loss.name == "cross-entropy" and not loss.options.get("label_smoothing")
        self._minus_one = torch.empty(0)

    @torch.no_grad()
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the losses, (lanes,)."""
        if self._plain:
            logarithms = torch.log_softmax(_by_class(outputs), 1)
            return -logarithms.gather(1, targets.unsqueeze(1)).squeeze(1).mean(1)
        losses: Tensor = torch.func.vmap(self._loss)(outputs, targets)
        return losses

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of the losses with respect to the outputs, in their shape."""
        if self._plain:  # the common one, without autograd's and vmap's cost
            return self._of_cross_entropy(outputs, targets)
        leaf = outputs.detach().requires_grad_()
        # Lanes share nothing: the gradient of the sum is that of each lane's loss.
        losses = torch.func.vmap(self._loss)(leaf, targets)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return gradient

    def _of_cross_entropy(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return (p − [target]) / rows."""
        chosen = targets.unsqueeze(1)
        if self._minus_one.shape != chosen.shape:
            self._minus_one = outputs.new_full((), -1).expand(chosen.shape)
        gradient = torch.softmax(_by_class(outputs), 1).scatter_add_(1, chosen, self._minus_one)
        return gradient.div_(targets.shape[1]).mT


def _by_class(outputs: Tensor) -> Tensor:
    """Reorder to (lanes, classes, rows): torch is several times faster if the classes are not contiguous."""
    return outputs.mT.contiguous()


class StackedSums:
    """The lanes' losses and metrics, as in ``MetricSums``, computed for many steps at a time.

    Each step adds an entry to a list. Losses too are computed when it is full: a step needs only their
    gradient.
    """

    def __init__(self, losses: StackedLoss, lanes: int, classes: int | None, device: torch.device) -> None:
        self._losses, self._classes, self._rows = losses, classes, 0
        self._moments = [] if classes is not None else [MetricSums(None, device) for _ in range(lanes)]
        self._loss = torch.zeros(lanes, device=device, dtype=torch.float64)
        self._correct = torch.zeros(lanes, device=device, dtype=torch.int64)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a step's outputs and targets, (lanes, rows, …)."""
        self._waiting.append((outputs, targets))
        if len(self._waiting) == _TOGETHER:
            self._count()

    @torch.no_grad()
    def _count(self) -> None:
        if not self._waiting:
            return
        outputs, targets = zip(*self._waiting, strict=True)
        self._waiting = []
        predicted, expected = torch.cat(outputs, 1), torch.cat(targets, 1)
        means = self._losses(predicted, expected)  # every loss is a mean over rows: this one over all rows
        if self._classes is None:
            for lane in zip(self._moments, means, predicted, expected, strict=True):
                lane[0].update(*lane[1:])
            return
        rows = expected.shape[1]
        self._rows += rows
        self._loss += means.double() * rows
        self._correct += (chosen_classes(predicted) == expected).sum(1)

    def result(self) -> list[dict[str, float]]:
        """Return every lane's metrics over all steps."""
        self._count()
        if self._classes is None:
            return [moments.result() for moments in self._moments]
        sums = zip(self._loss.tolist(), self._correct.tolist(), strict=True)
        rows = self._rows or float("nan")
        return [{"loss": loss / rows, "accuracy": correct / rows} for loss, correct in sums]
