"""A split's metrics, summed on the device over its batches and read once."""

from __future__ import annotations

import torch
from torch import Tensor

from lrstudy.tasks.precision import has_float64

# Batches counted together: small tensors cost their overhead once, and what waits stays small.
_TOGETHER = 64


def chosen_classes(outputs: Tensor) -> Tensor:
    """The class that each row's outputs, (…, n), choose; a single output means class 1."""
    # max returns the same indices as argmax, and is much faster.
    return outputs[..., 0] > 0 if outputs.shape[-1] == 1 else outputs.max(-1).indices


class MetricSums:
    """Loss, and accuracy (with ``classes``) or R², over all rows given to ``update``.

    Nothing is read back from the device until ``result``.
    """

    def __init__(self, classes: int | None, device: torch.device | str | int) -> None:
        self._classes = classes
        self._rows, self._positions = 0, 1  # of a row
        self._device = torch.device(device)
        self._dtype = torch.float64 if has_float64(self._device) else torch.float32
        self._loss = torch.zeros((), device=self._device, dtype=self._dtype)
        self._correct = torch.zeros((), device=self._device, dtype=torch.int64)
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        # Per output: the first batch's mean, Σ(y − mean), Σ(y − mean)², Σ(a − y)².
        self._moments: Tensor | None = None

    def update(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch: its mean ``loss``, ``outputs`` (m, n), ``targets`` (m,) or (m, n).

        Sequences have outputs (m, time, n) and class numbers (m, time).
        """
        self._rows += len(targets)
        if self._classes is not None and targets.dim() > 1:  # sequences: their outputs would take much memory
            self._positions = targets[0].numel()
            self._loss += loss.detach().to(self._dtype) * len(targets)
            self._correct += (chosen_classes(outputs.detach()) == targets).sum()
            return
        self._waiting.append((loss.detach(), outputs.detach(), targets))
        if len(self._waiting) == _TOGETHER:
            self._count()

    @torch.no_grad()
    def _count(self) -> None:
        if not self._waiting:
            return
        losses, outputs, targets = zip(*self._waiting, strict=True)
        self._waiting = []
        rows = torch.tensor([len(batch) for batch in targets], dtype=self._dtype).to(self._device)
        self._loss += (torch.stack(losses).to(self._dtype) * rows).sum()
        given, wanted = torch.cat(outputs), torch.cat(targets)
        if self._classes is not None:
            self._correct += (chosen_classes(given) == wanted).sum()
        else:
            self._add_moments(given.to(self._dtype), wanted.to(self._dtype))

    def _add_moments(self, outputs: Tensor, targets: Tensor) -> None:
        if self._moments is None:
            self._moments = targets.new_zeros(4, targets.shape[1])
            # Σ(y − c)² − (Σ(y − c))²/N loses no digits when c is near the mean.
            self._moments[0] = targets.mean(0)
        centred = targets - self._moments[0]
        squared_error = (outputs - targets).square().sum(0)
        self._moments[1:] += torch.stack([centred.sum(0), centred.square().sum(0), squared_error])

    @torch.no_grad()
    def result(self) -> dict[str, float]:
        """``loss`` and ``accuracy`` or ``r2``; one synchronisation. NaN where nothing was counted.

        R² = 1 − Σ(a − y)²/Σ(y − ȳ)², averaged over the outputs (as scikit-learn's ``r2_score``); NaN if
        a target does not vary.
        """
        self._count()
        rows = self._rows or float("nan")
        if self._classes is not None:
            # A row count beyond 2^53 is out of reach: float64 holds it exactly.
            loss, correct = torch.stack([self._loss, self._correct.to(self._dtype)]).tolist()
            return {"loss": loss / rows, "accuracy": correct / rows / self._positions}
        if self._moments is None:
            return {"loss": float("nan"), "r2": float("nan")}
        _, total, squares, squared_error = self._moments
        variation = squares - total.square() / rows
        scores = torch.where(variation > 0, 1 - squared_error / variation, torch.nan)
        loss, r2 = torch.stack([self._loss, scores.mean()]).tolist()
        return {"loss": loss / rows, "r2": r2}
