"""State of the stacked optimizers: a number per lane, and the lanes' optimizer states in one tensor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrstudy.engine.lanes.shared_storage import Layout


class Column:
    """A number per lane as a (lanes, 1) tensor like ``like``, written in place when one has changed."""

    def __init__(self, like: Tensor) -> None:
        self._values: list[float] = []
        self.tensor = like.new_zeros(len(like), 1)

    def hold(self, values: list[float]) -> None:
        """Write these values, unless the column has them; a captured step reads them at its address."""
        if values != self._values:
            self._values = values
            self.tensor.copy_(torch.tensor(values, dtype=self.tensor.dtype).unsqueeze(1))


class StackedLanes:
    """Parameters of lanes whose optimizers step together: ``numbers`` is their stack, (lanes, numbers)."""

    def __init__(self, numbers: Tensor, layout: Layout, parameters: Sequence[Sequence[Tensor]]) -> None:
        self.numbers, self.parameters, self._layout = numbers, parameters, layout

    def adopt(self, name: str, optimizers: Sequence[Optimizer]) -> tuple[Tensor, list[int]]:
        """Stack the lanes' optimizer state of this name like ``numbers``; the state becomes views of it.

        Returns the stack and the lanes that had no such state yet: theirs is zero.
        """
        stacked, without = torch.zeros_like(self.numbers), []
        for lane, (optimizer, own) in enumerate(zip(optimizers, self.parameters, strict=True)):
            for parameter, place in zip(own, self._layout.parts(stacked[lane]), strict=True):
                state = optimizer.state[parameter]
                if name in state:
                    place.copy_(state[name])
                elif lane not in without:
                    without.append(lane)
                state[name] = place
        return stacked, without

    def places(self, optimizer: Optimizer) -> Tensor:
        """Return the parameter group of each number of a lane, counted from 1; 0 for the padding."""
        groups = {
            id(parameter): place
            for place, group in enumerate(optimizer.param_groups, start=1)
            for parameter in group["params"]
        }
        parts = [
            torch.full((p.numel(),), groups[id(p)], device=self.numbers.device) for p in self.parameters[0]
        ]
        return self._layout.row(parts)


class WeightDecay:
    """The weight decay of each number, rebuilt only when that of a group has changed, as a schedule may."""

    def __init__(self, lanes: StackedLanes, optimizers: Sequence[Optimizer]) -> None:
        self._like, self._places = lanes.numbers, lanes.places(optimizers[0])
        self._groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        self._lanes = len(optimizers)
        self._values: list[float] = []
        self.tensor: Tensor | None = None
        """The decays, (numbers,) if all lanes have the same, else (lanes, numbers); None if all are 0."""

    def refresh(self) -> Hashable:
        """Read the lanes' weight decays; return the place of ``tensor``: only a change of shape moves it."""
        values = [group["weight_decay"] for group in self._groups]
        if values != self._values:
            self._values, new = values, self._build(values)
            if new is not None and self.tensor is not None and new.shape == self.tensor.shape:
                self.tensor.copy_(new)
            else:
                self.tensor = new
        return None if self.tensor is None else (self.tensor.data_ptr(), self.tensor.shape)

    def _build(self, values: list[float]) -> Tensor | None:
        if not any(values):
            return None
        table = torch.tensor(values, dtype=self._like.dtype).view(self._lanes, -1)
        table = torch.cat([table.new_zeros(self._lanes, 1), table], 1).to(self._like.device)
        if torch.equal(table, table[:1].expand_as(table)):
            return table[0, self._places]
        return table[:, self._places]
