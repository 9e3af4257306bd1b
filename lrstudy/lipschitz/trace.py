"""The layer whose output is the model's output, found in one forward pass."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils.hooks import RemovableHandle

from lrstudy.compat.torch import compiler_loaded
from lrstudy.lipschitz.head_candidates import candidates, is_compiled, unclear, unwrapped
from lrstudy.lipschitz.linear_layers import outputs_of

# The names in autograd of the operations that only change the layout of values, copy or cast them.
# A selection keeps them if there is one to select from: the number of values is compared.
_KEEPS_VALUES: Final = re.compile(
    r"(Unsafe)?(View|ReshapeAlias|Squeeze|Unsqueeze|Select|Slice|Transpose|Permute|T|Alias|ToCopy|Clone)Backward\d+"
)


@dataclass(slots=True)
class _Call:
    """A layer's call with its arguments and outputs."""

    name: str
    layer: nn.Module
    args: tuple[Any, ...]
    outputs: Any
    node: Node | None


@dataclass
class _Pass:
    """The calls of one forward pass of the model; a data-parallel one has a thread per device."""

    calls: list[_Call] = field(default_factory=list)


Found = Callable[[nn.Module, tuple[Any, ...], Tensor], None]


class HeadTrace:
    """Hooks on a model and its linear layers that find the head in a forward pass, and are gone after it.

    ``found`` is called then with the layer, its arguments and its outputs, so that this pass counts. A pass
    counts if gradients are on and, where ``training_only``, the model trains. A compiled model's is made
    without the compiler. ``missed``: only compiled passes were made of a model that was not given compiled.
    """

    def __init__(self, model: nn.Module, found: Found, *, training_only: bool) -> None:
        self._model, self._found, self._training_only = model, found, training_only
        self._awake = True  # a copied model's hooks are not
        self.missed = False
        self.in_evaluation = False
        self._passes = threading.local()
        self._eagerly = ExitStack()
        inner = unwrapped(model)
        self._handles: list[RemovableHandle] = [
            layer.register_forward_hook(partial(self._called, name)) for name, layer in candidates(model)
        ]
        self._handles.append(inner.register_forward_pre_hook(self._begin))
        self._handles.append(inner.register_forward_hook(self._end))
        self._outer_handles: list[RemovableHandle] = []
        if is_compiled(model):
            self._outer_handles = [
                model.register_forward_pre_hook(self._uncompiled),
                model.register_forward_hook(self._compiled_again, always_call=True),
            ]

    def remove(self) -> None:
        """Take the hooks off."""
        self._remove_inner()
        self._remove_outer()

    def _remove_inner(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _remove_outer(self) -> None:
        self._eagerly.close()
        for handle in self._outer_handles:
            handle.remove()
        self._outer_handles = []

    def _uncompiled(self, *_: object) -> None:
        if self._awake:
            self._eagerly.enter_context(torch.compiler.set_stance("force_eager"))

    def _compiled_again(self, *_: object) -> None:
        if not self._awake:
            return
        self._eagerly.close()
        if not self._handles:  # found
            self._remove_outer()

    def _begin(self, *_: object) -> None:
        if not self._awake:
            return
        if torch.compiler.is_compiling():
            self.missed = True
            return
        self._passes.current = _Pass()

    def _called(self, name: str, layer: nn.Module, args: tuple[Any, ...], outputs: Any) -> None:
        if not self._awake or torch.compiler.is_compiling():
            return
        current: _Pass | None = getattr(self._passes, "current", None)
        if current is not None:
            node = outputs.grad_fn if isinstance(outputs, Tensor) else None
            current.calls.append(_Call(name, layer, args, outputs, node))

    def _end(self, model: nn.Module, args: tuple[Any, ...], outputs: Any) -> None:
        if not self._awake or torch.compiler.is_compiling():
            return
        current: _Pass | None = getattr(self._passes, "current", None)
        self._passes.current = None
        if current is None or not torch.is_grad_enabled():
            return
        if self._training_only and not model.training:
            self.in_evaluation = True
            return
        call = _head_call(self._model, current.calls, outputs)
        # In a data-parallel model's replica, the layer is a copy of the model's own.
        layer = dict(unwrapped(self._model).named_modules())[call.name]
        self._remove_inner()  # what keeps the compiler away stays to the end of the pass
        self._found(layer, call.args, call.outputs)

    def __getstate__(self) -> dict[str, Any]:
        return {"_awake": False}


def trace_head(model: nn.Module, inputs: Any) -> nn.Module:
    """Return the layer whose output is the model's for a batch of ``inputs``, in its present mode."""
    heads: list[nn.Module] = []
    inner = unwrapped(model)
    trace = HeadTrace(inner, lambda layer, *_: heads.append(layer), training_only=False)
    # Without the compiler loaded, which takes a second, nothing is compiled.
    eagerly = torch.compiler.set_stance("force_eager") if compiler_loaded() else nullcontext()
    try:
        with torch.enable_grad(), eagerly:
            inner(inputs)
    finally:
        trace.remove()
    return heads[0]


def _head_call(model: nn.Module, calls: list[_Call], outputs: Any) -> _Call:
    """Return the call whose output is the model's; raise ``SchedulerError`` if there is none."""
    result = main_output(model, outputs)
    for call in reversed(calls):
        if _same_values(call, result):
            times = Counter(id(c.layer) for c in calls)[id(call.layer)]
            if times > 1:
                raise unclear(
                    model,
                    f"is not given, and {call.name!r}, whose output is the model's, is called {times} times",
                )
            width = outputs_of(call.layer)
            if result.dim() > 1 and width > 1 and width not in (result.shape[1], result.shape[-1]):
                raise unclear(
                    model,
                    f"is not given, and the model's output, of shape {tuple(result.shape)}, does not have the"
                    f" {width} outputs of {call.name!r} as its classes",
                )
            return call
    raise unclear(model, "is not given, and the model's output is the output of none of its linear layers")


def main_output(model: nn.Module, outputs: Any) -> Tensor:
    """Return the tensor that the loss is taken of: the output, its ``logits``, or the only one with rows."""
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    tensors = _tensors(outputs if logits is None else logits)
    if len(tensors) != 1:
        raise unclear(
            model,
            f"is not given, and the model's output, of type {type(outputs).__name__}, holds {len(tensors)}"
            " tensors that a loss could be taken of",
        )
    return tensors[0]


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value] if value.dim() and value.is_floating_point() else []
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return []


def _same_values(call: _Call, result: Tensor) -> bool:
    """Return True if ``result`` is the call's output, at most copied, cast or in another layout."""
    if not isinstance(call.outputs, Tensor) or call.outputs.numel() != result.numel():
        return False
    if call.node is None:
        # Without a graph (a checkpointed layer, or nothing trained before it) only the memory can tell.
        return bool(
            call.outputs is result
            or call.outputs.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
        )
    node = result.grad_fn
    while node is not None and node is not call.node:
        if not _KEEPS_VALUES.fullmatch(node.name()):
            return False
        node = node.next_functions[0][0]
    return node is call.node
