"""The forward hook of the last linear layer: what it saw, as maxima over the optimizer's steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lrstudy.lipschitz.linear_layers import rows_of
from lrstudy.lipschitz.norms import QUANTITIES, wide


class Watch:
    """A forward hook of the last linear layer that keeps each quantity's running maximum on the device.

    It never reads a value back, so it does not synchronise; it writes in place and keeps no Python state,
    so that it goes into a compiled or captured step. One row of maxima per device: under ``DataParallel``
    each device sees its part of the batch, in a thread of its own.

    Here each forward pass is a step. ``step_watch.StepWatch`` adds up the passes between two optimizer steps.

    A copy is asleep: a copied model must not go on measuring for a scheduler that it does not have.
    """

    def __init__(self, names: Sequence[str], like: Tensor, *, training_only: bool) -> None:
        self.names = tuple(names)
        self.training_only = training_only
        self.awake = True
        self.in_evaluation = False  # a pass was left out because the layer was in evaluation mode
        # The last element is m, the rows of the largest batch. Made now, so that a compiled step finds it.
        self.maxima = {like.device: self._zeros(like)}

    def __call__(self, module: nn.Module, args: tuple[Any, ...], outputs: Tensor) -> None:
        """Take one batch; in training only, as set."""
        if not self.awake or (self.training_only and not torch.is_grad_enabled()):
            return
        if self.training_only and not module.training:
            if not torch.compiler.is_compiling():
                self.in_evaluation = True
            return
        A, rows = rows_of(module, args[0].detach()), rows_of(module, outputs.detach())
        if A.shape[0]:
            self._take(A, rows, outputs)

    def _take(self, A: Tensor, outputs: Tensor, attached: Tensor) -> None:
        """Take a batch of rows; ``attached`` are the outputs as the model goes on to use them."""
        if A.device not in self.maxima:
            self.maxima[A.device] = self._zeros(A)
        maxima = self.maxima[A.device]
        found = [QUANTITIES[name](A, outputs) for name in self.names]
        found.append(torch.full((), A.shape[0], device=A.device, dtype=maxima.dtype))
        torch.maximum(maxima, torch.stack(found), out=maxima)  # a NaN stays

    def read(self) -> tuple[dict[str, float], int]:
        """(maxima by name, rows of the largest step); synchronises. Nothing seen: zeros and 0 rows."""
        parts = [maxima.tolist() for maxima in self.maxima.values()]
        rows = round(sum(part[-1] for part in parts))
        found = {}
        for i, name in enumerate(self.names):
            column = [part[i] for part in parts if part[-1]] or [0.0]
            # ‖A‖² of a batch is the sum over its parts; λ_max(AᵀA) is at most the sum of the parts'.
            found[name] = sum(column) if name == "spectral" else math.hypot(*column)
        return found, rows

    def reset(self) -> None:
        """Forget what was seen, keeping the tensors: a captured step goes on writing to them."""
        self.in_evaluation = False
        for maxima in self.maxima.values():
            maxima.zero_()

    def put(self, found: dict[str, float], rows: int, like: Tensor) -> None:
        """Continue from what ``read`` gave; ``like`` is a tensor on the device to continue on."""
        self.reset()
        maxima = self.maxima.setdefault(like.device, self._zeros(like))
        maxima.copy_(torch.tensor([*(found[name] for name in self.names), rows], dtype=torch.float64))

    def _zeros(self, like: Tensor) -> Tensor:
        return torch.zeros(len(self.names) + 1, device=like.device, dtype=wide(like))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "awake": False}
