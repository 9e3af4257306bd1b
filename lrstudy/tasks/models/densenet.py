"""DenseNet without bottlenecks (G. Huang et al., arXiv 1608.06993, first rows of table 2).

The scripts of LipschitzLR (arXiv 1902.07399) take a Keras version of it that begins with twice the growth
rate instead of 16 filters, and has Keras's batch-norm with ε 1.1e-5: ``version="authors"``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrstudy.tasks.models.weight_init import BATCH_NORM_MOMENTUM, he_normal_


class _Layer(nn.Module):
    """batch-norm – ReLU – 3×3 conv, its output appended to its input."""

    def __init__(self, inputs: int, growth: int, dropout: float, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) → (n, inputs + growth, h, w)."""
        return torch.cat([x, self.dropout(self.conv(functional.relu(self.norm(x))))], dim=1)


def _keras_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1.1e-5, momentum=BATCH_NORM_MOMENTUM)


def densenet(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    depth: int,
    growth: int,
    dropout: float = 0.0,
    version: str = "paper",
) -> nn.Module:
    """Depth 3n + 4: three dense blocks of n layers, a 1×1 convolution and a pool by 2 between them."""
    norm = nn.BatchNorm2d if version == "paper" else _keras_norm
    per_block, channels = (depth - 4) // 3, 16 if version == "paper" else 2 * growth
    layers: list[nn.Module] = [nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range(per_block):
            layers.append(_Layer(channels, growth, dropout, norm(channels)))
            channels += growth
        layers += [norm(channels), nn.ReLU()]
        if block < 2:
            layers.append(nn.Conv2d(channels, channels, 1, bias=False))
            layers += [nn.Dropout(dropout)] if dropout else []
            layers.append(nn.AvgPool2d(2))
    head = nn.Linear(channels, outputs)
    nn.init.zeros_(head.bias)
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            he_normal_(module.weight)
    return model
