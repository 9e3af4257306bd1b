"""Many copies of one small model as one, which shares its memory with them.

The copies' parameters and buffers become views of the stacked tensors, so that code which reads or writes a
lane's model afterwards (a schedule that measures it, an evaluation, a checkpoint) works as without lanes.
A plain sequence of known layers is stacked layer by layer; any other model is mapped over by torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, cast

import torch
from torch import Tensor, nn

from lrstudy.compat.torch import has_hooks
from lrstudy.engine.lanes.lane_layers import STACKABLE, StackedLayer, stack_layer
from lrstudy.engine.lanes.lipschitz_hooks import StackedWatches
from lrstudy.engine.lanes.shared_storage import Layout, flatten_in_place
from lrstudy.engine.lanes.vmap_model import MappedModel

_DROPOUTS: Final = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
# Above this many parameters a step's arithmetic takes longer than its calls.
_SMALL: Final = 10_000_000


class Stacked(Protocol):
    """The models of some lanes as one: (lanes, rows, …) → (lanes, rows, outputs).

    ``numbers`` is (lanes, numbers): each lane's parameters, in the order of its ``model.parameters()``, in
    the places that ``layout`` gives them; ``last_gradient`` has the same layout. ``watched`` are the lanes
    that measure the Lipschitz constant during training. Another stack of some of the lanes takes over their
    memory; this one must then no longer be used.
    """

    layout: Layout
    numbers: Tensor
    last_gradient: Tensor
    watched: frozenset[int]

    def __call__(self, inputs: Tensor, *, training: bool) -> Tensor:
        """Return the outputs of all lanes. ``training``: with batch statistics and the Lipschitz hooks."""

    def backward(self, outputs: Tensor) -> Tensor:
        """Compute ``last_gradient`` from the gradient of the last training call's outputs; return it."""

    def take_watch_seconds(self) -> float:
        """Return the seconds spent on Lipschitz measurements since the last call."""


def stack(models: Sequence[nn.Module]) -> Stacked:
    """Stack models that differ only in their parameters' values; check ``unstackable`` first."""
    return StackedModel(models) if has_known_layers(models[0]) else MappedModel(models)


def unstackable(model: nn.Module) -> str | None:
    """Return the reason why a model cannot be stacked; None if stacking may work."""
    for layer in model.modules():
        if isinstance(layer, _DROPOUTS) and layer.p > 0:
            return f"the model has a {type(layer).__name__} layer, whose random draws the lanes would share"
    if has_hooks(model):
        return "the model has a hook, which would see all lanes at once"
    if not all(parameter.requires_grad for parameter in model.parameters()):
        return "a parameter of the model is frozen"
    numbers = sum(parameter.numel() for parameter in model.parameters())
    return f"the model has {numbers:,} parameters" if numbers > _SMALL else None


def has_known_layers(model: nn.Module) -> bool:
    """Return True if the model is stacked layer by layer."""
    return type(model) is nn.Sequential and all(
        type(layer) in STACKABLE and (not isinstance(layer, nn.BatchNorm1d) or _is_usual(layer))
        for layer in model
    )


def _is_usual(norm: nn.BatchNorm1d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None


class StackedModel:
    """A plain sequence of known layers, stacked layer by layer."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        parameters = [list(model.parameters()) for model in models]
        self.layout = Layout(parameters[0])
        self.numbers = flatten_in_place(parameters, self.layout)
        self.last_gradient = torch.zeros_like(self.numbers)
        stacked = iter(self.layout.parts(self.numbers))
        rows = zip(*(cast("nn.Sequential", model) for model in models), strict=True)
        self._layers: list[StackedLayer] = []
        self._watches: list[StackedWatches] = []
        for layers in rows:
            self._watches.append(StackedWatches(layers))
            self._layers.append(stack_layer(layers, stacked, self._watches[-1]))
        self.watched = frozenset(lane for watches in self._watches for lane in watches.lanes)
        learning = [next(layer.parameters(), None) is not None for layer in cast("nn.Sequential", models[0])]
        self._first = learning.index(True) if any(learning) else len(learning)

    def __call__(self, inputs: Tensor, *, training: bool) -> Tensor:
        """As ``Stacked`` has it."""
        outputs = inputs
        for layer in self._layers:
            outputs = layer(outputs, training)
        return outputs

    def backward(self, outputs: Tensor) -> Tensor:
        """As ``Stacked`` has it."""
        parts: list[Tensor] = []
        for place in reversed(range(self._first, len(self._layers))):
            outputs, own = self._layers[place].backward(outputs, further=place > self._first)
            parts = [*own, *parts]
        return self.layout.row([part.flatten(1) for part in parts], out=self.last_gradient)

    def take_watch_seconds(self) -> float:
        """As ``Stacked`` has it."""
        return sum(watches.take_seconds() for watches in self._watches)
