"""A check for a scheduler that is stepped after every batch instead of after every epoch."""

from __future__ import annotations

import warnings
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrstudy.lipschitz.step_count import accumulator

_TIMES: Final = 3


class PerBatchCheck:
    """Warns where several ``step()`` of the scheduler in a row followed one optimizer step on other inputs.

    An epoch may have one batch only, but that is the same in every epoch, in whatever order its rows come. As
    soon as an epoch has had two optimizer steps, nothing is looked at any more.
    """

    def __init__(self, model: nn.Module) -> None:
        self._handle: RemovableHandle | None = model.register_forward_pre_hook(self._look, with_kwargs=True)
        self._inputs: Tensor | None = None
        self._sums: list[float] = []

    def _look(self, model: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self._handle is None or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return
        if model.training:
            tensors = (value for value in (*args, *named.values()) if isinstance(value, Tensor))
            self._inputs = next(tensors, None)

    def scheduler_stepped(self, optimizer_steps: int) -> None:
        """Count a ``step()`` of the scheduler, ``optimizer_steps`` after the last one."""
        if self._handle is None or optimizer_steps == 0:
            return
        if optimizer_steps > 1:
            self.remove()
            return
        if self._inputs is None:
            return
        self._sums.append(float(self._inputs.detach().to(accumulator(self._inputs)).square().sum()))
        self._inputs = None
        last = self._sums[-_TIMES:]
        if len(last) == _TIMES and max(last) - min(last) > 1e-9 * max(last):
            self.remove()
            warnings.warn(
                f"LipschitzLR.step() was called after each of the last {_TIMES} optimizer steps, on different"
                " batches. Call it once per epoch: the constant is the largest over an epoch's batches. (In a"
                " trainer that steps the scheduler itself, step it at the epoch's end in a callback.)",
                stacklevel=4,
            )

    def remove(self) -> None:
        """Stop looking."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = self._inputs = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_handle": None, "_inputs": None, "_sums": []}
