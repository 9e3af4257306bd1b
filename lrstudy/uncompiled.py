"""torch's optimizers without its compiler, whose import takes more than a second.

torch marks some methods of every optimizer as not to be compiled, and imports the compiler for that at their
first call, in each process anew. Nothing here compiles an optimizer. The functions read what torch keeps to
itself; where that is named otherwise, everything works as before, a second later.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.optim import SGD, Adam, Optimizer, RMSprop

_COMPILER: Final = "torch._dynamo"


def spare_compiler() -> None:
    """Let the optimizers of this process be made, and step, without an import of torch's compiler.

    Does nothing once the compiler is there.
    """
    if _COMPILER in sys.modules:
        return
    methods: list[Any] = [Optimizer.add_param_group, Optimizer.zero_grad]
    for method in methods:
        function = getattr(method, "__wrapped__", None)
        if function is not None and not hasattr(function, "__dynamo_disable"):
            function.__dynamo_disable = function  # noqa: SLF001 - where torch keeps it
    _spare_steps()


@functools.cache  # once
def _spare_steps() -> None:
    for kind in (SGD, Adam, RMSprop):  # AdamW has Adam's
        if hasattr(kind.step, "__wrapped__") and not hasattr(kind.step, "hooked"):
            setattr(kind, "step", _uncompiled(kind.step, kind.step.__wrapped__))  # noqa: B010 - mypy forbids it


def _uncompiled(step: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` does what ``inner`` does, without gradients, and tells the compiler of it."""

    @functools.wraps(inner)
    def plain(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        if _COMPILER in sys.modules or self.defaults.get("differentiable"):
            return step(self, closure)
        with torch.no_grad():
            return inner(self, closure)

    return plain


def count_as_stepped(optimizer: Optimizer) -> None:
    """Let torch's schedulers believe that an optimizer took a step: they warn of one that never did."""
    optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001 - what a step sets
