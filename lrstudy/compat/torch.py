"""Names of torch that are not public."""

from __future__ import annotations

import torch


def backward_number() -> int:
    """Return the number of the backward pass at work in this thread, -1 outside of one.

    ``torch/csrc/autograd/init.cpp`` names it for ``torch/autograd/graph.py``, whose own hooks tell backward
    passes apart by it; checked with torch 2.14. Where the name is gone, all are the same one: a forward
    pass that only its inputs' gradient is taken of then counts as a part of the next step.
    """
    number = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001 - what this module is for
    return -1 if number is None else int(number())
