"""Finding the last linear layer, whose input is A."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from lrstudy.errors import Problem, SchedulerError, did_you_mean

# The attribute under which torch.compile and the data-parallel wrappers keep the model they wrap.
_WRAPPED = ("_orig_mod", "module")


def find_head(model: nn.Module, head: nn.Module | str | None = None) -> nn.Module:
    """The last linear layer of ``model``: the last ``nn.Linear`` in the order of registration, or ``head``.

    Works through nested modules, ``torch.compile`` and ``DataParallel``. ``head`` is a module of the
    model, or its dotted name (without the wrappers' part). ``SchedulerError`` if there is none.
    """
    if not isinstance(model, nn.Module):
        raise _error(
            "model", type(model).__name__, "is not a torch.nn.Module", "Give the model that is trained."
        )
    if any(isinstance(module, DistributedDataParallel) for module in model.modules()):
        raise _error(
            "model",
            "DistributedDataParallel",
            "each process would measure, and then use, another rate",
            "Train in one process, or with torch.nn.DataParallel.",
        )
    found = _last_linear(model) if head is None else _named(model, head)
    if any(is_lazy(parameter) for parameter in found.parameters()):
        raise _error(
            "head",
            repr(found),
            "has no weights yet",
            "Run the model on one batch before making the scheduler.",
        )
    return found


def _last_linear(model: nn.Module) -> nn.Module:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise _error(
            "model",
            type(model).__name__,
            "has no torch.nn.Linear, so there is no last linear layer whose input could be measured",
            "End the model in one, or name a layer with in_features and out_features by head=.",
        )
    return layers[-1]


def _named(model: nn.Module, head: nn.Module | str) -> nn.Module:
    inner: nn.Module = model
    while True:
        wrapped = next((part for name, part in inner.named_children() if name in _WRAPPED), None)
        if wrapped is None:
            break
        inner = wrapped
    named = dict(inner.named_modules())
    known = [name for name, module in named.items() if _usable(module)]
    if isinstance(head, str):
        if head not in named:
            raise _error("head", head, "names no layer of the model", did_you_mean(head, known))
        found: nn.Module = named[head]
    elif any(module is head for module in model.modules()):
        found = head
    else:
        raise _error("head", repr(head), "is no layer of the model", f"Known: {', '.join(known)}.")
    if not _usable(found):
        raise _error("head", repr(head), "has no in_features and out_features", f"Known: {', '.join(known)}.")
    return found


def _usable(module: nn.Module) -> bool:
    return all(isinstance(getattr(module, name, None), int) for name in ("in_features", "out_features"))


def _error(key: str, value: object, message: str, remedy: str) -> SchedulerError:
    return SchedulerError(Problem("LipschitzLR", key, message, remedy, value))
