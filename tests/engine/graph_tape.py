"""What stands in for a CUDA graph where there is no GPU: it keeps a graph's promise, and no other.

A tape of torch's own operations with the very tensors that they read and wrote. Making it computes nothing:
what was written is put back, what was made is spoiled. Playing it runs the operations again on whatever lies
in those tensors by then, and leaves the results where they lay the first time; no Python of the model, the
loss or the optimizer runs, and a number that is not in a tensor is what it was. Reading a value is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # of storages that were there: themselves, values
        self.made: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        for tensor in tensors_in((args, kwargs)):
            if where(tensor) not in self.made and where(tensor) not in self.before:
                whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
                self.before[where(tensor)] = whole, whole.clone()
        result = func(*args, **kwargs)
        returns = func._schema.returns
        new = tensors_in(result) if not any(r.alias_info for r in returns) else []
        for tensor in new:
            if where(tensor) not in self.before:
                self.made[where(tensor)] = tensor
        writes = any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments)
        if new or writes:  # a view is a view for good
            self.calls.append((func, args, kwargs, new))
        return result

    def undo(self) -> None:
        for whole, values in self.before.values():
            whole.copy_(values)
        for tensor in self.made.values():
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)

    @torch.no_grad()
    def play(self) -> None:
        for func, args, kwargs, results in self.calls:
            found = func(*args, **kwargs)
            for old, new in zip(results, tensors_in(found) if results else [], strict=True):
                old.copy_(new)


def capture(compute: Callable[[], None]) -> Callable[[], None]:
    """What ``torch.cuda.graph`` and the graph's ``replay`` do."""
    tape, random = _Tape(), torch.get_rng_state()
    try:
        with tape:
            compute()
    finally:
        with torch.no_grad():
            tape.undo()
        torch.set_rng_state(random)
    return tape.play


def tensors_in(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def where(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
