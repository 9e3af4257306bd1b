"""Many copies of any model as one, by ``torch.func.vmap`` over their parameters.

It is several times slower than ``stacked_model``, but several times faster than one model after another. It
serves models with layers that ``stacked_model`` does not know, usually a user's own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lrstudy.engine.lanes.lipschitz_hooks import StackedWatches
from lrstudy.engine.lanes.shared_storage import Layout, flatten_in_place, stack_in_place
from lrstudy.lipschitz.linear_layers import rows_of


class MappedModel:
    """A model mapped over its lanes' parameters and buffers; implements ``Stacked``.

    A model that draws random numbers during training (dropout) raises ``RuntimeError`` at its first batch.
    State that a model keeps in Python is shared by all lanes, and reset whenever lanes are stacked again.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        first = models[0]
        self.layout = Layout(list(first.parameters()))
        self.numbers = flatten_in_place([list(model.parameters()) for model in models], self.layout)
        self.last_gradient = torch.zeros_like(self.numbers)
        self._names = [name for name, _ in first.named_parameters()]
        buffers = [dict(model.named_buffers()) for model in models]
        self._buffers = {name: stack_in_place([lane[name] for lane in buffers]) for name in buffers[0]}
        self._module = copy.deepcopy(first)
        self._watches = self._watched_layers(models)
        # Inputs and outputs of the watched layers, in the order of their calls: one may be called twice.
        self._calls: list[tuple[Tensor, Tensor]] = []
        self._called: list[StackedWatches] = []
        for name, watches in self._watches.items():
            self._module.get_submodule(name).register_forward_hook(partial(self._record_call, watches))
        self.watched = frozenset(lane for watches in self._watches.values() for lane in watches.lanes)

    def __call__(self, inputs: Tensor, *, training: bool) -> Tensor:
        """As ``Stacked`` has it."""
        self._module.train(training)
        if not training:
            with torch.no_grad():
                return self._map(self.numbers, inputs)[0]
        leaf = self.numbers.detach().requires_grad_()
        with torch.enable_grad():
            outputs, seen = self._map(leaf, inputs)
        self._graph = leaf, outputs
        for watches, (A, Y) in zip(self._called, seen, strict=True):
            watches.look(A.detach(), Y.detach())
        return outputs.detach()

    def backward(self, outputs: Tensor) -> Tensor:
        """As ``Stacked`` has it."""
        leaf, computed = self._graph
        (gradient,) = torch.autograd.grad(computed, leaf, outputs)
        return self.last_gradient.copy_(gradient)

    def take_watch_seconds(self) -> float:
        """As ``Stacked`` has it."""
        return sum(watches.take_seconds() for watches in self._watches.values())

    def _map(self, numbers: Tensor, inputs: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        parameters = dict(zip(self._names, self.layout.parts(numbers), strict=True))

        def one(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], rows: Tensor) -> Any:
            self._calls, self._called = [], []
            outputs = functional_call(self._module, (dict(parameters), dict(buffers)), (rows,))
            return outputs, list(self._calls)

        outputs, seen = vmap(one)(parameters, self._buffers, inputs)
        self._calls = []
        return outputs, seen

    def _record_call(
        self, watches: StackedWatches, module: nn.Module, args: tuple[Any, ...], outputs: Tensor
    ) -> None:
        self._calls.append((rows_of(module, args[0]), rows_of(module, outputs)))
        self._called.append(watches)

    def _watched_layers(self, models: Sequence[nn.Module]) -> dict[str, StackedWatches]:
        watched = {}
        for name, _ in models[0].named_modules():
            watches = StackedWatches([model.get_submodule(name) for model in models])
            if watches.lanes:
                watched[name] = watches
        return watched
