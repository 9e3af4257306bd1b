"""The layers that can be a head: linear ones, and 1×1 convolutions, which are linear at each position."""

from __future__ import annotations

from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POINTWISE = {"kernel_size": 1, "stride": 1, "padding": 0, "groups": 1}


def is_pointwise(layer: nn.Module) -> bool:
    """Return True if the layer is a 1×1 convolution: linear at each position."""
    if not isinstance(layer, _CONVOLUTIONS) or type(layer).forward not in [c.forward for c in _CONVOLUTIONS]:
        return False
    for name, wanted in _POINTWISE.items():
        value = getattr(layer, name)
        if value in ("same", "valid"):  # no padding at all, at this size
            continue
        if any(size != wanted for size in (value if isinstance(value, tuple) else (value,))):
            return False
    return True


def is_head_like(layer: nn.Module) -> bool:
    """Return True if a trace may take the layer for the head: its outputs are linear in its inputs.

    A subclass with its own forward (a cosine or a noisy layer) may do anything; it can be named.
    """
    if isinstance(layer, nn.Linear):
        return type(layer).forward is nn.Linear.forward
    return is_pointwise(layer)


def can_be_named(layer: nn.Module) -> bool:
    """Return True if the layer may be named as the head: also any with in_features and out_features."""
    return is_pointwise(layer) or all(
        isinstance(getattr(layer, name, None), int) for name in ("in_features", "out_features")
    )


def outputs_of(layer: nn.Module) -> int:
    """Return the number of outputs of a row: classes or targets."""
    width = layer.out_channels if isinstance(layer, _CONVOLUTIONS) else layer.out_features
    assert isinstance(width, int)
    return width


def rows_of(layer: nn.Module, values: Tensor) -> Tensor:
    """Return the inputs or outputs of a layer as rows: (…, h) → (m, h); of a convolution, (b, h, …) → (m, h).

    All leading dimensions (a sequence's steps, an image's positions) are rows: the loss is averaged over
    them all.
    """
    if isinstance(layer, _CONVOLUTIONS):
        channels = 1 if values.dim() == len(layer.kernel_size) + 2 else 0  # or unbatched
        values = values.movedim(channels, -1)
    return values.reshape(-1, values.shape[-1])
