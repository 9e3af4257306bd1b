"""One tensor for all lanes, of which the lanes' tensors are views: a write to a lane changes the stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

# torch allocates memory at multiples of this many bytes. Some of its operations (a norm, a small matrix
# product) round differently at other addresses.
_ALIGNMENT: Final = 64


def stack_in_place(tensors: Sequence[Tensor]) -> Tensor:
    """Return a stack of the tensors, which become views of it."""
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, part in zip(tensors, stacked.unbind(), strict=True):
        tensor.data = part
    return stacked


class Layout:
    """Places of a model's parameters in one row of numbers: each begins where torch would allocate it.

    A lane's model, its optimizer and its schedule compute with views of the row. Aligned as in separate
    allocations, these give the same bits in every lane and in a model trained alone. ``size`` is the length
    of a row, with the padding after each parameter.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._shapes = [parameter.shape for parameter in parameters]
        self._lengths: list[int] = []
        for parameter in parameters:
            unit = _ALIGNMENT // parameter.element_size()
            self._lengths += [parameter.numel(), -parameter.numel() % unit]
        self.size = sum(self._lengths)

    def parts(self, row: Tensor) -> list[Tensor]:
        """Return views of the parameters in a row, or in rows: (…, size) → (…, *shape) of each."""
        flat = torch.split(row, self._lengths, -1)[::2]
        return [part.view(row.shape[:-1] + shape) for part, shape in zip(flat, self._shapes, strict=True)]

    def row(self, parts: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
        """Return a row, or rows, of the parameters' values, padded with zeros. ``parts`` are (…, numbers)."""
        pieces: list[Tensor] = []
        for part, unused in zip(parts, self._lengths[1::2], strict=True):
            pieces.append(part)
            if unused:
                pieces.append(part.new_zeros(*part.shape[:-1], unused))
        return torch.cat(pieces, -1, out=out)


def flatten_in_place(lanes: Sequence[list[nn.Parameter]], layout: Layout) -> Tensor:
    """Return a row per lane of all its parameters, which become views of it."""
    numbers = torch.stack([layout.row([p.detach().flatten() for p in lane]) for lane in lanes])
    for lane, row in zip(lanes, numbers.unbind(), strict=True):
        for parameter, part in zip(lane, layout.parts(row), strict=True):
            parameter.data = part
    return numbers
