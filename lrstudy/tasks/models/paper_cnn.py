"""The paper's MNIST network (R. Yedida et al., arXiv 1902.07399, section 9.1)."""

from __future__ import annotations

import torch
from torch import nn

from lrstudy.tasks.models.weight_init import batch_norm_1d, init_as_keras


def paper_cnn(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Five 3×3 convolutions and 128 units; 730,346 parameters for (1, 28, 28) and 10 outputs."""
    channels = input_shape[0]
    features = nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Flatten(),
    )
    with torch.no_grad():
        flat = features.eval()(torch.zeros(1, *input_shape)).shape[1]
    features.train()
    model = nn.Sequential(
        *features,
        nn.Linear(flat, 128),
        nn.ReLU(),
        batch_norm_1d(128),
        nn.Dropout(0.25),
        nn.Linear(128, outputs),
    )
    init_as_keras(model, he_normal_linear=False)
    return model
