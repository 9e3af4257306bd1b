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
    """Every lane's mean loss, (lanes,), of outputs (lanes, rows, …) and targets (lanes, rows, …)."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss

    @torch.no_grad()
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The losses alone."""
        if self._loss.name == "cross-entropy":
            return _chosen(_log_softmax(outputs), targets)
        losses: Tensor = torch.func.vmap(self._loss)(outputs, targets)
        return losses

    def with_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The losses, and their gradient in the outputs, shaped like these."""
        if self._loss.name == "cross-entropy":  # the common one, without autograd's and vmap's cost
            return _cross_entropy(outputs, targets)
        leaf = outputs.detach().requires_grad_()
        losses = torch.func.vmap(self._loss)(leaf, targets)
        # Lanes share nothing: the gradient of the sum is each lane's own.
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), gradient


@torch.no_grad()
def _cross_entropy(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The loss −log p of the target, and its gradient (p − [target]) / rows."""
    logarithms = _log_softmax(outputs)
    gradient = logarithms.exp()
    places = targets.unsqueeze(1)
    gradient.scatter_add_(1, places, gradient.new_full((), -1).expand(places.shape))
    return _chosen(logarithms, targets), gradient.div_(targets.shape[1]).mT


def _log_softmax(outputs: Tensor) -> Tensor:
    """(lanes, classes, rows): torch is several times faster where the classes do not lie side by side."""
    return torch.log_softmax(outputs.mT.contiguous(), 1)


def _chosen(logarithms: Tensor, targets: Tensor) -> Tensor:
    return -logarithms.gather(1, targets.unsqueeze(1)).squeeze(1).mean(1)


class StackedSums:
    """The lanes' metrics, as ``MetricSums`` has them; what waits is split into lanes many steps at a time."""

    def __init__(self, lanes: int, classes: int | None, device: torch.device) -> None:
        self._classes, self._rows = classes, 0
        self._moments = [] if classes is not None else [MetricSums(None, device) for _ in range(lanes)]
        self._loss = torch.zeros(lanes, device=device, dtype=torch.float64)
        self._correct = torch.zeros(lanes, device=device, dtype=torch.int64)
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def update(self, losses: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Take a step's losses (lanes,), outputs and targets (lanes, rows, …)."""
        self._waiting.append((losses, outputs, targets))
        if len(self._waiting) == _TOGETHER:
            self._count()

    def _count(self) -> None:
        if not self._waiting:
            return
        losses, outputs, targets = zip(*self._waiting, strict=True)
        self._waiting = []
        sizes = losses[0].new_tensor([batch.shape[1] for batch in targets])
        means = (torch.stack(losses, 1) * sizes).sum(1) / sizes.sum()
        given, wanted = torch.cat(outputs, 1), torch.cat(targets, 1)
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
