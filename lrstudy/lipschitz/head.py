"""Finding the last linear layer, whose input is A: by name, by the model's build, or by a forward pass."""

from __future__ import annotations

from typing import Any, Final

from torch import nn
from torch.nn.parameter import is_lazy

from lrstudy.compat.torch import wrapped_by_compile
from lrstudy.errors import all_known, did_you_mean
from lrstudy.lipschitz.head_candidates import candidates, refusal, unwrapped
from lrstudy.lipschitz.linear_layers import can_be_named, is_head_like
from lrstudy.lipschitz.trace import trace_head

# The attribute under which the data-parallel wrappers keep the model that they wrap.
_WRAPPED: Final = "module"


def find_head(model: nn.Module, head: nn.Module | str | None = None, inputs: Any = None) -> nn.Module:
    """Return the last linear layer of ``model``, or ``head``: a module of the model or its dotted name.

    With ``inputs``, a batch, it is the layer whose output is the model's (see ``trace``). Without, it is the
    last one registered, which is a guess unless the model is an ``nn.Sequential``. Works through nested
    modules, ``torch.compile`` and the data-parallel wrappers, whose part a name leaves out.
    ``SchedulerError`` if there is none.
    """
    found = known_head(model, head)
    if found is None and inputs is not None:
        return trace_head(model, inputs)
    return candidates(model)[-1][1] if found is None else found


def known_head(model: nn.Module, head: nn.Module | str | None = None) -> nn.Module | None:
    """Return the layer named, or the last one by the model's build; None if a forward pass must find it."""
    if not isinstance(model, nn.Module):
        raise refusal(
            "model", type(model).__name__, "is not a torch.nn.Module", "Give the model that is trained."
        )
    found = _end_of(model) if head is None else _named(model, head)
    layers = [layer for _, layer in candidates(model)] if found is None else [found]
    lazy = [layer for layer in layers if any(is_lazy(parameter) for parameter in layer.parameters())]
    if lazy:
        raise refusal(
            "head",
            repr(lazy[0]),
            "has no weights yet",
            "Run the model on one batch before making the scheduler.",
        )
    return found


def _end_of(model: nn.Module) -> nn.Module | None:
    """Return the last layer of nested ``nn.Sequential``s, if it is a linear one that is called once."""
    inner = unwrapped(model)
    if type(inner) is nn.Sequential:
        layers = [layer for layer in inner if not isinstance(layer, nn.Identity)]
        # A layer that occurs twice is called twice.
        once = bool(layers) and sum(layer is layers[-1] for layer in inner) == 1
        return _end_of(layers[-1]) if once else None
    return inner if is_head_like(inner) else None


def _named(model: nn.Module, head: nn.Module | str) -> nn.Module:
    inner: nn.Module = model
    while True:
        wrapped = wrapped_by_compile(inner)
        if wrapped is None:
            wrapped = dict(inner.named_children()).get(_WRAPPED)
        if wrapped is None:
            break
        inner = wrapped
    named = dict(inner.named_modules())
    known = [name for name, module in named.items() if can_be_named(module)]
    if isinstance(head, str):
        if head not in named:
            raise refusal("head", head, "names no layer of the model", did_you_mean(head, known))
        found: nn.Module = named[head]
    elif any(module is head for module in model.modules()):
        found = head
    else:
        raise refusal("head", repr(head), "is no layer of the model", all_known(known))
    if not can_be_named(found):
        raise refusal(
            "head",
            repr(head),
            "has no in_features and out_features, and is no 1×1 convolution",
            all_known(known),
        )
    return found
