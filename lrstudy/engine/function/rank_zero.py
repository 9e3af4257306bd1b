"""Rank 0's values on every rank of a trial that several processes train together."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

_Value = TypeVar("_Value")


def from_rank_zero(value: _Value) -> _Value:
    """Return rank 0's value on every rank of torch's default process group; all ranks must call it."""
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]
