"""State of the stacked optimizers: a number per lane, and the lanes' optimizer states in one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrstudy.engine.lanes.shared_storage import Layout


class Column:
    """A number per lane as a (lanes, 1) tensor like ``like``, rebuilt only when one has changed."""

    def __init__(self, like: Tensor) -> None:
        self._values: list[float] = []
        self._like = self._tensor = like

    def holding(self, values: list[float]) -> Tensor:
        """Return the column of these values."""
        if values != self._values:
            self._values = values
            self._tensor = torch.tensor(values, dtype=self._like.dtype).to(self._like.device).unsqueeze(1)
        return self._tensor


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

    def decay(self, optimizer: Optimizer) -> Tensor | None:
        """Return the weight decay of each number of a lane, (numbers,); None if all are 0."""
        decays = {
            id(parameter): group["weight_decay"]
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        if not any(decays.values()):
            return None
        parts = [self.numbers.new_full((p.numel(),), decays[id(p)]) for p in self.parameters[0]]
        return self._layout.row(parts)
