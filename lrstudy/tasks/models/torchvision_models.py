"""Any classifier of ``torchvision.models``, its head fitted to the classes and its stem to the channels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn

from lrstudy.errors import Problem, StudyFileError, did_you_mean


@cache
def torchvision_names() -> frozenset[str]:
    """The names of torchvision's classifiers."""
    from torchvision import models

    return frozenset(models.list_models(module=models))


def torchvision_classifier(
    name: str, input_shape: tuple[int, ...], outputs: int, options: Mapping[str, Any]
) -> nn.Module:
    """Build ``name`` with new weights for rows of ``input_shape`` (channels, height, width).

    ``options`` go to torchvision's builder. Raises ``StudyFileError`` for an unknown name or what the
    builder refuses.
    """
    from torchvision import models

    if name not in torchvision_names():
        hint = did_you_mean(name, sorted(torchvision_names()))
        problem = Problem("task", "model", "is not a classifier of torchvision.models", hint, name)
        raise StudyFileError(problem)
    arguments = {"weights": None, "num_classes": outputs} | _quirks(name, input_shape) | dict(options)
    try:
        model: nn.Module = models.get_model(name, **arguments)
    except (TypeError, ValueError) as error:  # how torchvision refuses arguments
        message = f"torchvision refuses it: {error}"
        remedy = "Correct the model's options, or choose another."
        raise StudyFileError(Problem("task", "model", message, remedy, name)) from error
    _fit_channels(model, input_shape[0])
    return model


def _quirks(name: str, input_shape: tuple[int, ...]) -> dict[str, Any]:
    if name in ("googlenet", "inception_v3"):
        # Auxiliary heads return more than one output; without the second they warn and initialise otherwise.
        return {"aux_logits": False, "init_weights": True}
    return {"image_size": input_shape[1]} if name.startswith("vit_") else {}


def _fit_channels(model: nn.Module, channels: int) -> None:
    """Replace the first convolution where it expects another number of channels."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != channels:
                parent, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(parent), attribute, _with_channels(module, channels))
            return


def _with_channels(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type] # torch stores the tuples it was given as wider types
        conv.stride,  # type: ignore[arg-type] # as above
        conv.padding,  # type: ignore[arg-type] # as above
        conv.dilation,  # type: ignore[arg-type] # as above
        bias=conv.bias is not None,
    )
