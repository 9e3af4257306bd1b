"""Values that all ranks of a trial share: rank 0's, or the mean of theirs."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

_Value = TypeVar("_Value")


def from_rank_zero(value: _Value) -> _Value:
    """Return rank 0's value on every rank of torch's default process group; all ranks must call it."""
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def mean_over_ranks(value: Tensor) -> Tensor:
    """Return the mean of the ranks' values on every rank; all ranks must call it."""
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
