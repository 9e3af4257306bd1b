"""The Lipschitz hooks of lanes; each gets the inputs and outputs that it would get on its lane's model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrstudy.engine.lanes.shared_storage import stack_in_place
from lrstudy.lipschitz.layer_watch import Watch, watches_on
from lrstudy.lipschitz.norms import batch_quantities


class StackedWatches:
    """All the hooks on one layer. ``lanes`` are the lanes that have one."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._watches = _alike(layers)
        self.lanes = {lane for watch in self._watches for lane in watch.lanes}
        self._seconds = 0.0

    def look(self, inputs: Tensor, outputs: Tensor) -> None:
        """Measure a batch: the layer's inputs (lanes, rows, h) and outputs (lanes, rows, n)."""
        started = time.perf_counter()
        for watch in self._watches:
            watch.look(inputs, outputs)
        self._seconds += time.perf_counter() - started

    def take_seconds(self) -> float:
        """Return the seconds spent in ``look`` since the last call."""
        taken, self._seconds = self._seconds, 0.0
        return taken


class _Alike:
    """The Lipschitz hooks of some lanes that measure the same quantities, as one."""

    def __init__(self, names: tuple[str, ...], lanes: list[int], maxima: Tensor) -> None:
        self._names, self._maxima = names, maxima
        self._rows: dict[int, Tensor] = {}
        self.lanes = lanes
        # Never a single lane: torch multiplies a single matrix with other code, which rounds differently.
        self._places = torch.tensor(lanes if len(lanes) > 1 else lanes * 2, device=maxima.device)

    def look(self, inputs: Tensor, outputs: Tensor) -> None:
        """Measure a batch, as ``Watch`` does."""
        if len(self.lanes) < len(inputs) or len(inputs) == 1:
            inputs = inputs.index_select(0, self._places)
            outputs = outputs.index_select(0, self._places) if "ka" in self._names else inputs
        # In one layout, so that sums run in one order for any number of neighbours.
        values = batch_quantities(self._names, inputs.contiguous(), outputs.contiguous())[: len(self.lanes)]
        rows = inputs.shape[1]
        if rows not in self._rows:
            self._rows[rows] = values.new_full((len(self.lanes), 1), rows)
        values = torch.cat([values, self._rows[rows]], 1)
        torch.maximum(self._maxima, values, out=self._maxima)  # a NaN stays


def _alike(layers: Sequence[nn.Module]) -> list[_Alike]:
    """Return the hooks of a layer's lanes, grouped by the quantities that they measure."""
    by_names: dict[tuple[str, ...], list[tuple[int, Watch]]] = {}
    for lane, layer in enumerate(layers):
        for hook in watches_on(layer):
            by_names.setdefault(hook.names, []).append((lane, hook))
    stacked = []
    for names, watches in by_names.items():
        (device,) = watches[0][1].maxima
        maxima = stack_in_place([watch.maxima[device] for _, watch in watches])
        stacked.append(_Alike(names, [lane for lane, _ in watches], maxima))
    return stacked
