"""The forward hook of the last linear layer, which keeps maxima over the optimizer's steps."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrstudy.lipschitz.linear_layers import rows_of
from lrstudy.lipschitz.norms import QUANTITIES, wide

# The watches on each layer; a copied layer has none, though it brings copies of their hooks along.
_on_layers: weakref.WeakKeyDictionary[nn.Module, list[Watch]] = weakref.WeakKeyDictionary()


def watches_on(layer: nn.Module) -> list[Watch]:
    """Return the watches that are hooked onto a layer."""
    return list(_on_layers.get(layer, ()))


@contextmanager
def asleep(model: nn.Module) -> Iterator[None]:
    """Let no watch on a layer of ``model`` measure in the block."""
    awake = [watch for module in model.modules() for watch in watches_on(module) if watch.awake]
    for watch in awake:
        watch.awake = False
    try:
        yield
    finally:
        for watch in awake:
            watch.awake = True


class LayerHook:
    """A watch on a layer, until ``remove``. Copied with its layer, it removes the copied hook."""

    def __init__(self, layer: nn.Module, watch: Watch) -> None:
        self._handle: RemovableHandle = layer.register_forward_hook(watch)
        self._layer: weakref.ref[nn.Module] | None = weakref.ref(layer)
        self._watch: Watch | None = watch
        _on_layers.setdefault(layer, []).append(watch)

    def remove(self) -> None:
        """Take the hook off; may be called twice."""
        self._handle.remove()
        layer = None if self._layer is None else self._layer()
        if layer is not None and layer in _on_layers:
            _on_layers[layer] = [watch for watch in _on_layers[layer] if watch is not self._watch]

    def __getstate__(self) -> RemovableHandle:
        return self._handle

    def __setstate__(self, state: RemovableHandle) -> None:
        self._handle, self._layer, self._watch = state, None, None


class Watch:
    """A forward hook of the last linear layer that keeps each quantity's running maximum on the device.

    It never reads a value back, so it does not synchronise; it writes in place and keeps no Python state,
    so that it goes into a compiled or captured step. One row of maxima per device: under ``DataParallel``
    each device sees its part of the batch, in a separate thread.

    Here each forward pass is a step. ``step_watch.StepWatch`` adds up the passes between two optimizer steps.

    A copy does nothing: a copied model must not measure for a scheduler that it does not have.
    """

    def __init__(self, names: Sequence[str], like: Tensor, *, training_only: bool) -> None:
        self.names = tuple(names)
        self.training_only = training_only
        self.awake = True
        self.in_evaluation = False  # a pass was left out because the layer was in evaluation mode
        # The last element is m, the rows of the largest batch. Made now, so that a compiled step finds it.
        self.maxima = {like.device: self._zeros(like)}

    def hook_onto(self, layer: nn.Module) -> LayerHook:
        """Measure what a layer computes from now on."""
        self.awake = True
        return LayerHook(layer, self)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], outputs: Tensor) -> None:
        """Measure one batch; in training only, as set."""
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
        """Measure a batch of rows; ``attached`` are the outputs that the model uses, with their graph."""
        if A.device not in self.maxima:
            self.maxima[A.device] = self._zeros(A)
        maxima = self.maxima[A.device]
        found = [QUANTITIES[name](A, outputs) for name in self.names]
        found.append(torch.full((), A.shape[0], device=A.device, dtype=maxima.dtype))
        torch.maximum(maxima, torch.stack(found), out=maxima)  # a NaN stays

    def read(self) -> tuple[dict[str, float], int]:
        """Return (maxima by name, rows of the largest step); synchronises. Nothing seen: zeros and 0 rows."""
        parts = [maxima.tolist() for maxima in self.maxima.values()]
        rows = round(sum(part[-1] for part in parts))
        found = {}
        for i, name in enumerate(self.names):
            column = [part[i] for part in parts if part[-1]] or [0.0]
            # ‖A‖² of a batch is the sum over its parts; λ_max(AᵀA) is at most the sum of the parts'.
            found[name] = sum(column) if name == "spectral" else math.hypot(*column)
        return found, rows

    def reset(self) -> None:
        """Forget what was seen, but keep the tensors: a captured step continues to write to them."""
        self.in_evaluation = False
        for maxima in self.maxima.values():
            maxima.zero_()

    def put(self, found: dict[str, float], rows: int, like: Tensor) -> None:
        """Continue from what ``read`` returned; ``like`` is a tensor on the device to continue on."""
        self.reset()
        maxima = self.maxima.setdefault(like.device, self._zeros(like))
        maxima.copy_(torch.tensor([*(found[name] for name in self.names), rows], dtype=torch.float64))

    def _zeros(self, like: Tensor) -> Tensor:
        return torch.zeros(len(self.names) + 1, device=like.device, dtype=wide(like))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "awake": False}
