"""One tensor for all lanes, shared with the lanes' own: who writes to a lane's writes to the stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def stack_in_place(tensors: Sequence[Tensor]) -> Tensor:
    """One tensor of them all, whose parts they become."""
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, part in zip(tensors, stacked.unbind(), strict=True):
        tensor.data = part
    return stacked


def flatten_in_place(lanes: Sequence[list[nn.Parameter]]) -> Tensor:
    """A row per lane that holds all its parameters, which become views of it."""
    numbers = torch.stack([torch.cat([p.detach().flatten() for p in lane]) for lane in lanes])
    for lane, row in zip(lanes, numbers.unbind(), strict=True):
        for parameter, part in zip(lane, torch.split(row, [p.numel() for p in lane]), strict=True):
            parameter.data = part.view_as(parameter)
    return numbers
