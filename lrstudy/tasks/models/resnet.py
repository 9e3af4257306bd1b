"""Residual networks for 32×32 images, in the topology of the Keras team's CIFAR-10 example.

Version 1 is K. He et al., arXiv 1512.03385; version 2 (pre-activation, bottlenecks) arXiv 1603.05027. The
example differs from the papers: shortcuts of a new width are 1×1 convolutions without batch-norm, and the
bottlenecks of version 2 begin with 16 units that widen to 64. Its convolutions also have biases, left out
here: a batch-norm follows every one (in version 2 after the sum) and removes them.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lrstudy.tasks.models.weight_init import batch_norm_2d, init_as_keras


class _BlockV1(nn.Module):
    """conv – batch-norm – ReLU – conv – batch-norm, plus the input, ReLU."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.norm1 = batch_norm_2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = batch_norm_2d(width)
        self.shortcut = nn.Conv2d(inputs, width, 1, stride, bias=False) if stride != 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) → (n, width, h/stride, w/stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        widened: Tensor = self.shortcut(x)
        return functional.relu(widened + y)


class _BlockV2(nn.Module):
    """Three times batch-norm – ReLU – conv (1×1, 3×3, 1×1), plus the input."""

    def __init__(
        self, inputs: int, width: int, outputs: int, stride: int, *, first: bool, widen: bool
    ) -> None:
        super().__init__()
        # The very first block follows a batch-norm and a ReLU: it needs none itself.
        self.norm1 = nn.Identity() if first else batch_norm_2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.norm2 = batch_norm_2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm3 = batch_norm_2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if widen else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) → (n, outputs, h/stride, w/stride)."""
        y = self.conv1(functional.relu(self.norm1(x)))
        y = self.conv2(functional.relu(self.norm2(y)))
        y = self.conv3(functional.relu(self.norm3(y)))
        widened: Tensor = self.shortcut(x)
        added: Tensor = widened + y
        return added


def resnet_v1(input_shape: tuple[int, ...], outputs: int, *, depth: int) -> nn.Module:
    """Depth 6n + 2: three stages of n blocks of 16, 32 and 64 channels. The last layer sees 64 features."""
    blocks = (depth - 2) // 6
    layers: list[nn.Module] = [
        nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False),
        batch_norm_2d(16),
        nn.ReLU(),
    ]
    inputs = 16
    for stage, width in enumerate((16, 32, 64)):
        for block in range(blocks):
            layers.append(_BlockV1(inputs, width, stride=2 if stage and not block else 1))
            inputs = width
    return _with_head(layers, inputs, outputs)


def resnet_v2(input_shape: tuple[int, ...], outputs: int, *, depth: int) -> nn.Module:
    """Depth 9n + 2: three stages of n bottlenecks, 64, 128 and 256 channels wide."""
    blocks = (depth - 2) // 9
    layers: list[nn.Module] = [
        nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False),
        batch_norm_2d(16),
        nn.ReLU(),
    ]
    inputs = width = 16
    for stage in range(3):
        made = width * (2 if stage else 4)
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            first = stage == block == 0
            layers.append(_BlockV2(inputs, width, made, stride, first=first, widen=not block))
            inputs = made
        width = made
    layers += [batch_norm_2d(inputs), nn.ReLU()]
    return _with_head(layers, inputs, outputs)


def _with_head(layers: list[nn.Module], features: int, outputs: int) -> nn.Module:
    # The example pools 8×8 windows, which is the whole map of a 32×32 image.
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, outputs))
    init_as_keras(model, he_normal_linear=True)
    return model
