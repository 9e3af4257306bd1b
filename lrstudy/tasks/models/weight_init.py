"""Keras's initial weights, used by the networks that repeat its examples."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

# The standard deviation of a standard normal cut off at ±2.
_TRUNCATED_STD: Final = 0.87962566103423978
# Keras's defaults: torch's batch-norm has 0.1 (that is, 1 − 0.9) and 1e-5.
BATCH_NORM_MOMENTUM: Final = 0.01
BATCH_NORM_EPS: Final = 1e-3


@torch.no_grad()
def he_normal_(weight: torch.Tensor) -> None:
    """He et al.'s normal with variance 2/fan_in, cut off at two deviations as in Keras (arXiv 1502.01852)."""
    fan_in = weight.numel() // weight.shape[0]
    std = math.sqrt(2.0 / fan_in) / _TRUNCATED_STD
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


@torch.no_grad()
def init_as_keras(model: nn.Module, *, he_normal_linear: bool) -> None:
    """He-normal convolutions, zero biases; linear layers He-normal or, as Keras's default, Glorot-uniform."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            he_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            if he_normal_linear:
                he_normal_(module.weight)
            else:
                nn.init.xavier_uniform_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def batch_norm_2d(channels: int) -> nn.BatchNorm2d:
    """Batch-norm over channels with Keras's momentum and ε."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


def batch_norm_1d(features: int) -> nn.BatchNorm1d:
    """Batch-norm over features with Keras's momentum and ε."""
    return nn.BatchNorm1d(features, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
