"""Losses and metrics of lanes, counted for all of them at once."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from lrstudy.tasks import MetricSums
from lrstudy.tasks.losses import Loss
from lrstudy.tasks.metric_sums import chosen_classes

# Steps whose metrics are counted together.
_TOGETHER: Final = 64


class StackedLoss:
    """Every lane's mean loss of outputs (lanes, rows, …) and targets (lanes, rows, …), and its gradient."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._minus_one = torch.empty(0)

    @torch.no_grad()
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The losses, (lanes,)."""
        if self._loss.name == "cross-entropy":
            logarithms = torch.log_softmax(_by_class(outputs), 1)
            return -logarithms.gather(1, targets.unsqueeze(1)).squeeze(1).mean(1)
        losses: Tensor = torch.func.vmap(self._loss)(outputs, targets)
        return losses

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The losses' gradient in the outputs, shaped like these."""
        if self._loss.name == "cross-entropy":  # the common one, without autograd's and vmap's cost
            return self._of_cross_entropy(outputs, targets)
        leaf = outputs.detach().requires_grad_()
        # Lanes share nothing: the gradient of the sum is each lane's own.
        losses = torch.func.vmap(self._loss)(leaf, targets)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return gradient

    def _of_cross_entropy(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(p − [target]) / rows."""
        chosen = targets.unsqueeze(1)
        if self._minus_one.shape != chosen.shape:
            self._minus_one = outputs.new_full((), -1).expand(chosen.shape)
        gradient = torch.softmax(_by_class(outputs), 1).scatter_add_(1, chosen, self._minus_one)
        return gradient.div_(targets.shape[1]).mT


def _by_class(outputs: Tensor) -> Tensor:
    """(lanes, classes, rows): torch is several times faster where the classes do not lie side by side."""
    return outputs.mT.contiguous()


class StackedSums:
    """The lanes' losses and metrics, as ``MetricSums`` has them, of many steps at a time.

    Each step costs an entry in a list: losses too are computed when it is full, for a step needs only their
    gradient.
    """

    def __init__(self, losses: StackedLoss, lanes: int, classes: int | None, device: torch.device) -> None:
        self._losses, self._classes, self._rows = losses, classes, 0
        self._moments = [] if classes is not None else [MetricSums(None, device) for _ in range(lanes)]
        self._loss = torch.zeros(lanes, device=device, dtype=torch.float64)
        self._correct = torch.zeros(lanes, device=device, dtype=torch.int64)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take a step's outputs and targets, (lanes, rows, …)."""
        self._waiting.append((outputs, targets))
        if len(self._waiting) == _TOGETHER:
            self._count()

    @torch.no_grad()
    def _count(self) -> None:
        if not self._waiting:
            return
        outputs, targets = zip(*self._waiting, strict=True)
        self._waiting = []
        given, wanted = torch.cat(outputs, 1), torch.cat(targets, 1)
        means = self._losses(given, wanted)  # every loss is a mean over rows: this is that of all of them
        if self._classes is None:
            for lane in zip(self._moments, means, given, wanted, strict=True):
                lane[0].update(*lane[1:])
            return
        rows = wanted.shape[1]
        self._rows += rows
        self._loss += means.double() * rows
        self._correct += (chosen_classes(given) == wanted).sum(1)

    def result(self) -> list[dict[str, float]]:
        """Every lane's metrics of all that was taken."""
        self._count()
        if self._classes is None:
            return [sums.result() for sums in self._moments]
        found = zip(self._loss.tolist(), self._correct.tolist(), strict=True)
        rows = self._rows or float("nan")
        return [{"loss": loss / rows, "accuracy": correct / rows} for loss, correct in found]
