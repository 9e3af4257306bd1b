"""Many copies of one small model as one: every layer computes all copies at once.

A small layer costs its call, not its arithmetic, so that a call for all lanes costs little more than one
lane's. The stacked model shares its memory with the lanes' own models: their parameters and buffers become
views of the stacked tensors, and whoever reads or writes a lane's model afterwards (a schedule that
measures it, an evaluation, a checkpoint) needs to know nothing of lanes.

Every layer knows its own backward: at this size autograd costs more than the arithmetic that it arranges.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol, cast

import torch
from torch import Tensor, nn

from lrstudy.lipschitz.measure import Watch, batch_quantities

_LAYERS: Final = (nn.Flatten, nn.Linear, nn.ReLU, nn.BatchNorm1d)
# Beyond so many numbers a step's arithmetic costs more than its calls.
_SMALL: Final = 10_000_000
# Named overloads: torch need not look for the one that fits.
_threshold_backward: Final = torch.ops.aten.threshold_backward.default
_batch_norm_backward: Final = torch.ops.aten.native_batch_norm_backward.default


def unstackable(model: nn.Module) -> str | None:
    """Why a model cannot be stacked, or None: it must be a plain sequence of the layers known here."""
    if type(model) is not nn.Sequential:
        return f"the model is a {type(model).__name__}, not a plain sequence of layers"
    for layer in model:
        if type(layer) not in _LAYERS:
            return f"the model has a {type(layer).__name__} layer"
        if isinstance(layer, nn.BatchNorm1d) and not (layer.affine and layer.track_running_stats):
            return "a batch-norm layer of the model is without weights or statistics"
    if not all(parameter.requires_grad for parameter in model.parameters()):
        return "a parameter of the model is frozen"
    numbers = sum(parameter.numel() for parameter in model.parameters())
    return f"the model has {numbers:,} parameters" if numbers > _SMALL else None


class _Layer(Protocol):
    """All lanes' copies of a layer: (lanes, rows, …) → (lanes, rows, …)."""

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        """The outputs; if ``training``, what ``backward`` needs is kept."""

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        """Of the outputs' gradient: the inputs' (if it goes ``further``), and the parameters', in order."""


class StackedModel:
    """The models of some lanes as one: (lanes, rows, …) → (lanes, rows, outputs).

    ``numbers`` is (lanes, numbers): each lane's parameters one after another, in the order of its
    ``model.parameters()``. Making another stack of some of the lanes takes them out of this one, which
    must not be used any more. ``watched`` are the lanes that measure the Lipschitz constant as they train.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        parameters = [list(model.parameters()) for model in models]
        self.numbers = _flatten_in_place(parameters)
        sizes = [parameter.numel() for parameter in parameters[0]]
        parts = zip(torch.split(self.numbers, sizes, 1), parameters[0], strict=True)
        self._parameters = iter([part.view(len(models), *parameter.shape) for part, parameter in parts])
        rows = zip(*(cast("nn.Sequential", model) for model in models), strict=True)
        self._layers = [self._stack_layer(layers) for layers in rows]
        self._linear = [layer for layer in self._layers if isinstance(layer, _Linear)]
        self.watched = frozenset(lane for layer in self._linear for lane in layer.watched)
        learning = [next(layer.parameters(), None) is not None for layer in cast("nn.Sequential", models[0])]
        self._first = learning.index(True) if any(learning) else len(learning)

    # Nothing here needs torch.no_grad: the stacked numbers are no leaves of any graph.

    def __call__(self, inputs: Tensor, *, training: bool) -> Tensor:
        """The outputs of all lanes. ``training``: batch statistics, and the Lipschitz hooks measure."""
        outputs = inputs
        for layer in self._layers:
            outputs = layer(outputs, training)
        return outputs

    def take_watch_seconds(self) -> float:
        """How long the measuring has taken since the last call."""
        seconds = sum(layer.watch_seconds for layer in self._linear)
        for layer in self._linear:
            layer.watch_seconds = 0.0
        return seconds

    def gradient(self, outputs: Tensor) -> Tensor:
        """The parameters' gradient, (lanes, numbers), from that of the last training call's outputs."""
        parts: list[Tensor] = []
        for place in reversed(range(self._first, len(self._layers))):
            outputs, own = self._layers[place].backward(outputs, further=place > self._first)
            parts = [*own, *parts]
        return torch.cat([part.flatten(1) for part in parts], 1)

    def _stack_layer(self, layers: tuple[nn.Module, ...]) -> _Layer:
        first = layers[0]
        if isinstance(first, nn.Linear):
            weight = next(self._parameters)
            return _Linear(weight, None if first.bias is None else next(self._parameters), layers)
        if isinstance(first, nn.BatchNorm1d):
            return _BatchNorm(next(self._parameters), next(self._parameters), layers)
        return _ReLU() if isinstance(first, nn.ReLU) else _Flatten()


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


class _ReLU:
    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        outputs = inputs.relu()
        if training:
            self._outputs = outputs
        return outputs

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        # As torch.nn's ReLU has it: where an output is NaN the gradient passes.
        return _threshold_backward(gradient, self._outputs, 0) if further else gradient, []


class _Flatten:
    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        if training:
            self._shape = inputs.shape
        return inputs.flatten(2)

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        return gradient.reshape(self._shape) if further else gradient, []


class _Linear:
    """The lanes' linear layers: a batched matrix product; tells the Lipschitz hooks what they would see."""

    def __init__(self, weight: Tensor, bias: Tensor | None, layers: Sequence[nn.Module]) -> None:
        self._weight, self._transposed = weight, weight.mT
        self._bias = None if bias is None else bias.unsqueeze(1)
        self._watches = _stack_watches(layers)
        self.watched = {lane for watch in self._watches for lane in watch.lanes}
        self.watch_seconds = 0.0

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        if self._bias is None:
            outputs = torch.bmm(inputs, self._transposed)
        else:
            outputs = torch.baddbmm(self._bias, inputs, self._transposed)
        if training:
            self._inputs = inputs
            if self._watches:
                self._look(inputs, outputs)
        return outputs

    def _look(self, inputs: Tensor, outputs: Tensor) -> None:
        started = time.perf_counter()
        for watch in self._watches:
            watch.look(inputs, outputs)
        self.watch_seconds += time.perf_counter() - started

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        own = [torch.bmm(gradient.mT, self._inputs)]
        if self._bias is not None:
            own.append(gradient.sum(1))
        return torch.bmm(gradient, self._weight) if further else gradient, own


class _Watches:
    """The Lipschitz hooks of some lanes that measure the same quantities, as one."""

    def __init__(self, names: tuple[str, ...], lanes: list[int], maxima: Tensor) -> None:
        self._names, self._maxima = names, maxima
        self._rows: dict[int, Tensor] = {}
        self.lanes, self._places = lanes, torch.tensor(lanes, device=maxima.device)

    def look(self, inputs: Tensor, outputs: Tensor) -> None:
        """Take a batch, as ``Watch`` does."""
        if len(self.lanes) < len(inputs):
            inputs = inputs.index_select(0, self._places)
            outputs = outputs.index_select(0, self._places) if "ka" in self._names else inputs
        # In one layout, so that sums run in one order, whatever the number of a lane's neighbours.
        found = batch_quantities(self._names, inputs.contiguous(), outputs.contiguous())
        rows = inputs.shape[1]
        if rows not in self._rows:
            self._rows[rows] = found.new_full((len(self.lanes), 1), rows)
        found = torch.cat([found, self._rows[rows]], 1)
        torch.maximum(self._maxima, found, out=self._maxima)  # a NaN stays


def _stack_watches(layers: Sequence[nn.Module]) -> list[_Watches]:
    """The hooks of a layer's lanes, those that measure the same together."""
    found: dict[tuple[str, ...], list[tuple[int, Watch]]] = {}
    for lane, layer in enumerate(layers):
        for hook in layer._forward_hooks.values():  # noqa: SLF001 - torch lists a module's hooks nowhere else
            assert isinstance(hook, Watch)
            found.setdefault(hook.names, []).append((lane, hook))
    stacked = []
    for names, watches in found.items():
        (device,) = watches[0][1].maxima
        maxima = _stack_in_place([watch.maxima[device] for _, watch in watches])
        stacked.append(_Watches(names, [lane for lane, _ in watches], maxima))
    return stacked


class _BatchNorm:
    """The lanes' batch-norms: one over (rows, lanes·features)."""

    def __init__(self, weight: Tensor, bias: Tensor, layers: Sequence[nn.Module]) -> None:
        norms = cast("Sequence[nn.BatchNorm1d]", layers)
        self._weight, self._bias = weight, bias
        self._mean = _stack_in_place([_tensor(norm.running_mean) for norm in norms]).view(-1)
        self._variance = _stack_in_place([_tensor(norm.running_var) for norm in norms]).view(-1)
        self._batches = _stack_in_place([_tensor(norm.num_batches_tracked) for norm in norms])
        self._momentum = 0.1 if norms[0].momentum is None else norms[0].momentum
        self._eps = norms[0].eps

    def __call__(self, inputs: Tensor, training: bool) -> Tensor:
        lanes, rows, features = inputs.shape
        if features != self._weight.shape[1]:  # the operation itself would read beyond its ends
            raise ValueError(f"batch-norm over {self._weight.shape[1]} features of {features}")
        inputs, weight, bias = _side_by_side(inputs), self._weight.reshape(-1), self._bias.reshape(-1)
        outputs, *seen = torch.native_batch_norm(
            inputs, weight, bias, self._mean, self._variance, training, self._momentum, self._eps
        )
        if training:
            self._batches.add_(1)
            self._kept = inputs, weight, *seen
        return outputs.view(rows, lanes, features).transpose(0, 1)

    def backward(self, gradient: Tensor, *, further: bool) -> tuple[Tensor, list[Tensor]]:
        lanes, rows, features = gradient.shape
        inputs, weight, *seen = self._kept
        found, *own = _batch_norm_backward(
            _side_by_side(gradient), inputs, weight, None, None, *seen, True, self._eps, [further, True, True]
        )
        further_back = found.view(rows, lanes, features).transpose(0, 1) if further else gradient
        return further_back, [part.view(lanes, features) for part in own]


def _side_by_side(values: Tensor) -> Tensor:
    """(lanes, rows, features) → (rows, lanes·features)."""
    return values.transpose(0, 1).reshape(values.shape[1], -1)


def _tensor(buffer: Tensor | None) -> Tensor:
    assert buffer is not None
    return buffer
