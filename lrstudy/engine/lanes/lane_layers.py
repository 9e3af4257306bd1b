"""Layers of many small models as one: a call computes all lanes' copies.

The time of a small layer is that of its call, not of its arithmetic, so that a call for all lanes takes
little longer than one lane's. Every layer implements its backward pass: at this size autograd takes longer
than the arithmetic. Nothing here needs ``torch.no_grad``: the stacked parameters are not leaves of any graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrstudy.engine.lanes.lipschitz_hooks import StackedWatches
from lrstudy.engine.lanes.shared_storage import stack_in_place


class StackedLayer(Protocol):
    """All lanes' copies of a layer: (lanes, rows, …) → (lanes, rows, …)."""

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        """Return the outputs; if ``training``, keep the values that ``backward`` needs."""

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        """Return the gradients of the inputs (only if ``further``) and of the parameters, in order.

        ``gradient`` is that of the outputs.
        """


# A backward pass; its arguments are the layer, the gradient of its outputs, its inputs and its outputs.
_Back = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
_aten: Final = torch.ops.aten
# Elementwise layers: torch's forward, and the backward that autograd would call. Named overloads save torch
# the dispatch to the one that fits.
_ELEMENTWISE: Final[Mapping[type[nn.Module], tuple[Callable[[Any, Tensor], Tensor], _Back]]] = {
    # As in torch.nn.ReLU, the gradient passes where an output is NaN.
    nn.ReLU: (lambda _, x: x.relu(), lambda _, g, _x, y: _aten.threshold_backward.default(g, y, 0)),
    nn.Tanh: (lambda _, x: x.tanh(), lambda _, g, _x, y: _aten.tanh_backward.default(g, y)),
    nn.Sigmoid: (lambda _, x: x.sigmoid(), lambda _, g, _x, y: _aten.sigmoid_backward.default(g, y)),
    nn.SiLU: (lambda _, x: functional.silu(x), lambda _, g, x, _y: _aten.silu_backward.default(g, x)),
    nn.GELU: (
        lambda layer, x: functional.gelu(x, approximate=layer.approximate),
        lambda layer, g, x, _y: _aten.gelu_backward.default(g, x, approximate=layer.approximate),
    ),
    nn.LeakyReLU: (
        lambda layer, x: functional.leaky_relu(x, layer.negative_slope),
        lambda layer, g, x, _y: _aten.leaky_relu_backward.default(g, x, layer.negative_slope, False),
    ),
    nn.Identity: (lambda _, x: x, lambda _, g, _x, _y: g),
}
# The layers among them that round at most once, equally in every implementation.
_EXACT: Final = (nn.ReLU, nn.LeakyReLU, nn.Identity)
# A multiple of the vector lengths with which torch computes.
_VECTORS: Final = 128
# The layers that can be stacked one by one.
STACKABLE: Final = (nn.Flatten, nn.Linear, nn.BatchNorm1d, *_ELEMENTWISE)


def stack_layer(
    layers: Sequence[nn.Module], parameters: Iterator[Tensor], watches: StackedWatches
) -> StackedLayer:
    """Return the lanes' copies of a layer as one; takes its parameters, in order, from ``parameters``.

    ``watches`` are the Lipschitz hooks on it: a linear layer calls them.
    """
    first = layers[0]
    if isinstance(first, nn.Linear):
        return _Linear(next(parameters), None if first.bias is None else next(parameters), watches)
    if isinstance(first, nn.BatchNorm1d):
        return _BatchNorm(next(parameters), next(parameters), layers)
    return _Flatten() if isinstance(first, nn.Flatten) else _Elementwise(first)


class _Elementwise:
    def __init__(self, layer: nn.Module) -> None:
        self._forward, self._backward = (partial(function, layer) for function in _ELEMENTWISE[type(layer)])
        if not isinstance(layer, _EXACT):
            self._forward = partial(_apply_padded, self._forward)
            self._backward = partial(_apply_padded, self._backward)

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        outputs = self._forward(inputs)
        if training:
            self._kept = inputs, outputs
        return outputs

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        return self._backward(gradient, *self._kept) if further else gradient, []


def _apply_padded(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply a function to tensors of one shape, padded to whole vectors of the processor.

    torch computes the numbers that do not fill a vector with other code, which rounds differently: the last
    lane's bits would depend on its place.
    """
    shape, size = tensors[0].shape, tensors[0].numel()
    filled = [functional.pad(tensor.reshape(-1), (0, -size % _VECTORS)) for tensor in tensors]
    return function(*filled)[:size].view(shape)


class _Flatten:
    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        if training:
            self._shape = inputs.shape
        return inputs.flatten(2)

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        return gradient.reshape(self._shape) if further else gradient, []


class _Linear:
    """The lanes' linear layers: a batched matrix product; passes inputs and outputs to Lipschitz hooks."""

    def __init__(self, weight: Tensor, bias: Tensor | None, watches: StackedWatches) -> None:
        self._weight, self._transposed = weight, weight.mT
        self._bias = None if bias is None else bias.unsqueeze(1)
        self._watches = watches

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        if self._bias is None:
            outputs = torch.bmm(inputs, self._transposed)
        else:
            outputs = torch.baddbmm(self._bias, inputs, self._transposed)
        if training:
            self._inputs = inputs
            if self._watches.lanes:
                self._watches.look(inputs, outputs)
        return outputs

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        own = [torch.bmm(gradient.mT, self._inputs)]
        if self._bias is not None:
            own.append(gradient.sum(1))
        return torch.bmm(gradient, self._weight) if further else gradient, own


class _BatchNorm:
    """The lanes' batch-norms: one over (rows, lanes·features), padded to whole vectors.

    As with activations, torch computes the features that do not fill a vector with other code.
    """

    def __init__(self, weight: Tensor, bias: Tensor, layers: Sequence[nn.Module]) -> None:
        norms = cast("Sequence[nn.BatchNorm1d]", layers)
        self._weight, self._bias = weight, bias
        self._padding = -weight.numel() % _VECTORS
        self._mean = self._flatten_in_place([_tensor(norm.running_mean) for norm in norms])
        self._variance = self._flatten_in_place([_tensor(norm.running_var) for norm in norms])
        self._batches = stack_in_place([_tensor(norm.num_batches_tracked) for norm in norms])
        self._momentum, self._eps = cast("float", norms[0].momentum), norms[0].eps

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        lanes, _, features = inputs.shape
        if features != self._weight.shape[1]:  # the operation would read out of bounds
            raise ValueError(f"batch-norm over {self._weight.shape[1]} features of {features}")
        inputs = self._pad(_join_lanes(inputs))
        weight, bias = self._pad(self._weight.reshape(-1)), self._pad(self._bias.reshape(-1))
        outputs, *seen = torch.native_batch_norm(
            inputs, weight, bias, self._mean, self._variance, training, self._momentum, self._eps
        )
        if training:
            self._batches.add_(1)
            self._kept = inputs, weight, *seen
        return self._split_lanes(outputs, lanes)

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        lanes = len(gradient)
        inputs, weight, *seen = self._kept
        further_back, *own = _aten.native_batch_norm_backward.default(
            self._pad(_join_lanes(gradient)),
            inputs,
            weight,
            None,
            None,
            *seen,
            True,
            self._eps,
            [further, True, True],
        )
        of_inputs = self._split_lanes(further_back, lanes) if further else gradient
        return of_inputs, [self._unpad(part).view(lanes, -1) for part in own]

    def _flatten_in_place(self, statistics: Sequence[Tensor]) -> Tensor:
        """Return the lanes' statistics as one padded tensor; they become views of it."""
        flat = functional.pad(torch.cat(list(statistics)), (0, self._padding))
        for own, part in zip(statistics, torch.split(flat, len(statistics[0])), strict=False):
            own.data = part
        return flat

    def _pad(self, values: Tensor) -> Tensor:
        return functional.pad(values, (0, self._padding)) if self._padding else values

    def _unpad(self, values: Tensor) -> Tensor:
        return values[..., : -self._padding] if self._padding else values

    def _split_lanes(self, values: Tensor, lanes: int) -> Tensor:
        """Reshape (rows, lanes·features and the padding) → (lanes, rows, features)."""
        return self._unpad(values).view(len(values), lanes, -1).transpose(0, 1)


def _join_lanes(values: Tensor) -> Tensor:
    """Reshape (lanes, rows, features) → (rows, lanes·features)."""
    return values.transpose(0, 1).reshape(values.shape[1], -1)


def _tensor(buffer: Tensor | None) -> Tensor:
    assert buffer is not None
    return buffer
