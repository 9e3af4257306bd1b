"""State of the stacked optimizers: a number per lane, and the lanes' optimizer states in one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrstudy.engine.lanes.shared_storage import Layout


class Column:
    """A number per lane as a (lanes, 1) tensor like ``like``, made anew only where one has changed."""

    def __init__(self, like: Tensor) -> None:
        self._values: list[float] = []
        self._like = self._tensor = like

    def holding(self, values: list[float]) -> Tensor:
        """The column of these values."""
        if values != self._values:
            self._values = values
            self._tensor = torch.tensor(values, dtype=self._like.dtype).to(self._like.device).unsqueeze(1)
        return self._tensor


class StackedLanes:
    """Parameters of lanes whose optimizers step together: ``numbers`` is (lanes, numbers), as stacked."""

    def __init__(self, numbers: Tensor, layout: Layout, parameters: Sequence[Sequence[Tensor]]) -> None:
        self.numbers, self.parameters, self._layout = numbers, parameters, layout

    def adopt(self, name: str, optimizers: Sequence[Optimizer]) -> tuple[Tensor, list[int]]:
        """The lanes' optimizer state of this name, stacked like ``numbers`` and left as views in its place.

        Zero where a lane has none yet: those lanes are the second answer.
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
        """The weight decay of each number of a lane, (numbers,); None where there is none."""
        decays = {
            id(parameter): group["weight_decay"]
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        if not any(decays.values()):
            return None
        parts = [self.numbers.new_full((p.numel(),), decays[id(p)]) for p in self.parameters[0]]
        return self._layout.row(parts)
