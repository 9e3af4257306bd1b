"""torch's optimizers without its compiler, whose import takes more than a second.

torch marks some methods of every optimizer as not to be compiled, and imports the compiler for that at their
first call, in each process anew. Nothing here compiles an optimizer. Both functions read what torch keeps to
itself; where that is named otherwise, everything works as before, a second later.
"""

from __future__ import annotations

import sys
from typing import Any

from torch.optim import Optimizer


def spare_compiler() -> None:
    """Let the first optimizer of this process be made without an import of torch's compiler.

    Does nothing once the compiler is there.
    """
    if "torch._dynamo" in sys.modules:
        return
    methods: list[Any] = [Optimizer.add_param_group, Optimizer.zero_grad]
    for method in methods:
        function = getattr(method, "__wrapped__", None)
        if function is not None and not hasattr(function, "__dynamo_disable"):
            function.__dynamo_disable = function  # noqa: SLF001 - where torch keeps it


def count_as_stepped(optimizer: Optimizer) -> None:
    """Let torch's schedulers believe that an optimizer took a step: they warn of one that never did."""
    optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001 - what a step sets
