"""An MLP whose last activations are multiplied by a number, and whose head is divided by it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScaledMLP(nn.Module):
    """64 units, ReLU, batch-norm and a head; (m, *input_shape) → (m, outputs).

    At the start every ``scale`` computes the same outputs: the head's weights are divided by it. The
    Lipschitz rule sees activations ``scale`` times as large, and gives a rate ``scale`` times as small.
    """

    def __init__(self, input_shape: tuple[int, ...], outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        inputs = int(torch.tensor(input_shape).prod())
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 64), nn.ReLU(), nn.BatchNorm1d(64))
        self.head = nn.Linear(64, outputs)
        self.scale = scale
        with torch.no_grad():
            self.head.weight.div_(scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x) * self.scale)
