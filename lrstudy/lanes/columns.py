"""What the stacked optimizers share: a number per lane, and the lanes' own optimizer state in one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer


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


def adopt(
    name: str, like: Tensor, optimizers: Sequence[Optimizer], parameters: Sequence[Sequence[Tensor]]
) -> tuple[Tensor, list[int]]:
    """The lanes' optimizer state of this name, stacked to (lanes, numbers) and left as views in its place.

    Zero where a lane has none yet: those lanes are the second answer.
    """
    stacked, without = torch.zeros_like(like), []
    for lane, (optimizer, own) in enumerate(zip(optimizers, parameters, strict=True)):
        parts = torch.split(stacked[lane], [parameter.numel() for parameter in own])
        for parameter, part in zip(own, parts, strict=True):
            state = optimizer.state[parameter]
            place = part.view_as(parameter)
            if name in state:
                place.copy_(state[name])
            elif lane not in without:
                without.append(lane)
            state[name] = place
    return stacked, without


def decay_of_every_number(optimizer: Optimizer, parameters: Sequence[Tensor], like: Tensor) -> Tensor | None:
    """The weight decay of each number of a lane, (numbers,); None where there is none."""
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    if not any(decays.values()):
        return None
    parts = [torch.full((p.numel(),), decays[id(p)], dtype=like.dtype) for p in parameters]
    return torch.cat(parts).to(like.device)
