"""A data set and a model of one's own: what ``studies/examples/own-task.toml`` trains."""

from __future__ import annotations

import numpy as np
from torch import nn


def make_data(seed: int, points: int = 400, turns: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Two spirals around each other: (points, 2) float inputs and (points,) class numbers."""
    rng = np.random.default_rng(seed)
    classes = np.arange(points) % 2
    along = np.sqrt(rng.random(points))
    angle = 2 * np.pi * turns * along + np.pi * classes
    inputs = along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (inputs + rng.normal(0, 0.02, inputs.shape)).astype(np.float32), classes


class SineNet(nn.Module):
    """A hidden layer of sines: (m, *input_shape) to (m, outputs)."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, width: int = 64) -> None:
        super().__init__()
        self.hidden = nn.Linear(input_shape[0], width)
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        return self.head((5 * self.hidden(x)).sin())
