"""Many copies of one small model as one: every layer computes all copies at once.

A small layer costs its call, not its arithmetic, so that a call for all lanes costs little more than one
lane's. The stacked model shares its memory with the lanes' own models: their parameters and buffers become
views of the stacked tensors, and whoever reads or writes a lane's model afterwards (a schedule that
measures it, an evaluation, a checkpoint) needs to know nothing of lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrstudy.lipschitz.measure import Watch, batch_quantities

_LAYERS: Final = (nn.Flatten, nn.Linear, nn.ReLU, nn.BatchNorm1d)


def unstackable(model: nn.Module) -> str | None:
    """Why a model cannot be stacked, or None: it must be a plain sequence of the layers known here."""
    if type(model) is not nn.Sequential:
        return f"the model is a {type(model).__name__}, not a plain sequence of layers"
    for layer in model:
        if type(layer) not in _LAYERS:
            return f"the model has a {type(layer).__name__} layer"
        if isinstance(layer, nn.BatchNorm1d) and not (layer.affine and layer.track_running_stats):
            return "a batch-norm layer of the model is without weights or statistics"
    return None


class StackedModel:
    """The models of some lanes as one: (lanes, rows, …) → (lanes, rows, outputs).

    ``numbers`` is (lanes, numbers): each lane's parameters one after another, in the order of its
    ``model.parameters()``. Making another stack of some of the lanes takes them out of this one, which
    must not be used any more.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        parameters = [list(model.parameters()) for model in models]
        self.numbers = _flatten_in_place(parameters)
        sizes = [parameter.numel() for parameter in parameters[0]]
        # Leaves of the graph that share the memory of the numbers.
        self._parameters = [
            part.view(len(models), *parameter.shape).requires_grad_()
            for part, parameter in zip(torch.split(self.numbers, sizes, 1), parameters[0], strict=True)
        ]
        self._stacked = iter(self._parameters)
        rows = zip(*(cast("nn.Sequential", model) for model in models), strict=True)
        self._layers = [self._stack_layer(layers) for layers in rows]

    def __call__(self, inputs: Tensor, *, training: bool) -> Tensor:
        """The outputs of all lanes. ``training``: batch statistics, and the Lipschitz hooks measure."""
        outputs = inputs
        for layer in self._layers:
            outputs = layer(outputs, training)
        return outputs

    def gradient(self, loss: Tensor) -> Tensor:
        """The gradient of a sum over lanes, (lanes, numbers)."""
        return torch.cat([part.flatten(1) for part in torch.autograd.grad(loss, self._parameters)], 1)

    def _stack_layer(self, layers: tuple[nn.Module, ...]) -> Any:
        first = layers[0]
        if isinstance(first, nn.Linear):
            bias = None
            weight = next(self._stacked)
            if first.bias is not None:
                bias = next(self._stacked)
            return _Linear(weight, bias, layers)
        if isinstance(first, nn.BatchNorm1d):
            return _BatchNorm(next(self._stacked), next(self._stacked), layers)
        return _relu if isinstance(first, nn.ReLU) else _flatten


def _stack_in_place(tensors: Sequence[Tensor]) -> Tensor:
    """One tensor of them all, whose parts they become."""
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, part in zip(tensors, stacked.unbind(), strict=True):
        tensor.data = part
    return stacked


def _flatten_in_place(lanes: Sequence[list[nn.Parameter]]) -> Tensor:
    """A row per lane that holds all its parameters, which become views of it."""
    numbers = torch.stack([torch.cat([p.detach().flatten() for p in lane]) for lane in lanes])
    for lane, row in zip(lanes, numbers.unbind(), strict=True):
        for parameter, part in zip(lane, torch.split(row, [p.numel() for p in lane]), strict=True):
            parameter.data = part.view_as(parameter)
    return numbers


def _relu(inputs: Tensor, _: bool) -> Tensor:
    return inputs.relu()


def _flatten(inputs: Tensor, _: bool) -> Tensor:
    return inputs.flatten(2)


class _Linear:
    """The lanes' linear layers: a batched matrix product; tells the Lipschitz hooks what they would see."""

    def __init__(self, weight: Tensor, bias: Tensor | None, layers: Sequence[nn.Module]) -> None:
        self._weight, self._bias = weight, bias
        self._watches = list(_stack_watches(layers).items())

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        if self._bias is None:
            outputs = torch.bmm(inputs, self._weight.mT)
        else:
            outputs = torch.baddbmm(self._bias.unsqueeze(1), inputs, self._weight.mT)
        if training:
            for names, (lanes, maxima) in self._watches:
                _watch(names, lanes, maxima, inputs.detach(), outputs.detach())
        return outputs


def _stack_watches(layers: Sequence[nn.Module]) -> dict[tuple[str, ...], tuple[Tensor, Tensor]]:
    """Which lanes measure what: lanes and their maxima, stacked, by the names of the quantities."""
    found: dict[tuple[str, ...], list[tuple[int, Watch]]] = {}
    for lane, layer in enumerate(layers):
        for hook in layer._forward_hooks.values():  # noqa: SLF001 - torch lists a module's hooks nowhere else
            assert isinstance(hook, Watch)
            found.setdefault(hook.names, []).append((lane, hook))
    stacked = {}
    for names, watches in found.items():
        (device,) = watches[0][1].maxima
        maxima = _stack_in_place([watch.maxima[device] for _, watch in watches])
        stacked[names] = (torch.tensor([lane for lane, _ in watches], device=device), maxima)
    return stacked


@torch.no_grad()
def _watch(names: tuple[str, ...], lanes: Tensor, maxima: Tensor, inputs: Tensor, outputs: Tensor) -> None:
    if len(lanes) < len(inputs):
        inputs, outputs = inputs.index_select(0, lanes), outputs.index_select(0, lanes)
    # In one layout, so that sums run in one order: a lane's values do not depend on its neighbours' number.
    found = batch_quantities(names, inputs.contiguous(), outputs.contiguous())
    rows = found.new_full((len(lanes), 1), inputs.shape[1])
    torch.maximum(maxima, torch.cat([found, rows], 1), out=maxima)  # a NaN stays


class _BatchNorm:
    """The lanes' batch-norms: one over (rows, lanes·features)."""

    def __init__(self, weight: Tensor, bias: Tensor, layers: Sequence[nn.Module]) -> None:
        norms = cast("Sequence[nn.BatchNorm1d]", layers)
        self._weight, self._bias = weight, bias
        self._mean = _stack_in_place([_tensor(norm.running_mean) for norm in norms])
        self._variance = _stack_in_place([_tensor(norm.running_var) for norm in norms])
        self._batches = _stack_in_place([_tensor(norm.num_batches_tracked) for norm in norms])
        self._momentum, self._eps = norms[0].momentum, norms[0].eps

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        lanes, rows, features = inputs.shape
        if training:
            self._batches.add_(1)
        outputs = functional.batch_norm(
            inputs.transpose(0, 1).reshape(rows, lanes * features),
            self._mean.view(-1),
            self._variance.view(-1),
            self._weight.reshape(-1),
            self._bias.reshape(-1),
            training,
            0.1 if self._momentum is None else self._momentum,
            self._eps,
        )
        return outputs.view(rows, lanes, features).transpose(0, 1)


def _tensor(buffer: Tensor | None) -> Tensor:
    assert buffer is not None
    return buffer
