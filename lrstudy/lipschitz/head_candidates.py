"""The layers of a model that could be its last linear one, and the refusal to choose among them."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lrstudy.compat.torch import wrapped_by_compile
from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.linear_layers import is_head_like


def candidates(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers of a model that could be its head, with their names, in the order of registration."""
    found = [(name, module) for name, module in unwrapped(model).named_modules() if is_head_like(module)]
    if not found:
        raise refusal(
            "model",
            type(model).__name__,
            "has no torch.nn.Linear, so there is no last linear layer whose input could be measured",
            "End the model in one (a 1×1 convolution will do), or name a layer with in_features and"
            " out_features by head=.",
        )
    return found


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside torch.compile and the data-parallel wrappers."""
    while True:
        inner = wrapped_by_compile(model)
        if inner is not None:
            model = inner
        elif isinstance(model, nn.DataParallel | DistributedDataParallel):
            model = model.module
        else:
            return model


def is_compiled(model: nn.Module) -> bool:
    """Return True if the model is what torch.compile returned for a module."""
    return wrapped_by_compile(model) is not None


def refusal(key: str, value: object, message: str, remedy: str) -> SchedulerError:
    """Return a refusal of one argument."""
    return SchedulerError(Problem("LipschitzLR", key, message, remedy, value))


def unclear(model: nn.Module, message: str) -> SchedulerError:
    """Return a refusal to choose among the candidates, which names them."""
    names = [name or "the model itself" for name, _ in candidates(model)]
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return refusal(
        "head",
        None,
        message,
        f"Name the last linear layer by head=, if the loss is taken of its outputs: {listed}. Weights tied by"
        " torch.nn.functional.linear need an nn.Linear that shares them (head.weight = embedding.weight).",
    )
