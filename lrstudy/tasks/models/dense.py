"""Models without convolutions: they take any input shape and flatten it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import nn


def linear(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """One linear layer: softmax, logistic or linear regression, depending on the loss."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), outputs))


def mlp(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    widths: Sequence[int] = (128,),
    batch_norm: str = "none",
    dropout: float = 0.0,
) -> nn.Module:
    """Linear → ReLU (→ batch-norm) (→ dropout) for each width, then a linear layer."""
    return nn.Sequential(nn.Flatten(), *_hidden(math.prod(input_shape), outputs, widths, batch_norm, dropout))


def _hidden(
    inputs: int, outputs: int, widths: Sequence[int], batch_norm: str, dropout: float
) -> Iterator[nn.Module]:
    for number, width in enumerate(widths, start=1):
        yield nn.Linear(inputs, width)
        yield nn.ReLU()
        if batch_norm == "all" or (batch_norm == "last" and number == len(widths)):
            yield nn.BatchNorm1d(width)
        if dropout:
            yield nn.Dropout(dropout)
        inputs = width
    yield nn.Linear(inputs, outputs)
