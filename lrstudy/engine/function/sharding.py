"""A model on the workers of a trial: a copy on each (DDP), or a part of each parameter (FSDP2).

Checkpoints hold whole tensors, so that they do not depend on which of the two it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

Shard = bool | Sequence[type[nn.Module]]


def on_workers(model: nn.Module, device: torch.device, shard: Shard) -> nn.Module:
    """Return the model for the ranks of torch's default process group; it begins as rank 0's on all of them.

    ``shard``: divide its parameters among the ranks; those of each module of the given classes are put
    together for its own computation, those of no such module for the whole model's.
    """
    if not shard:
        from torch.nn.parallel import DistributedDataParallel

        places = [device.index or 0] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=places)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            dist.broadcast(tensor, src=0)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    classes = () if shard is True else tuple(shard)
    for module in [each for each in model.modules() if isinstance(each, classes) and each is not model]:
        fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def whole(state: Any) -> Any:
    """Return a state with whole tensors on rank 0, and None for them on the others.

    All ranks must call it. A state without divided tensors is returned as it is.
    """
    parts = sys.modules.get("torch.distributed.tensor")
    return state if parts is None else _whole(state, parts.DTensor)


def _whole(state: Any, divided: type) -> Any:
    if isinstance(state, divided):
        full = state.full_tensor()  # type: ignore[attr-defined]
        return full.cpu() if dist.get_rank() == 0 else None
    if isinstance(state, dict):
        made = copy(state)  # with its attributes: a model's state_dict has some
        made.update((key, _whole(value, divided)) for key, value in state.items())
        return made
    if type(state) in (list, tuple):
        return type(state)(_whole(value, divided) for value in state)
    return state


def for_rank(saved: Any, kept: Any) -> Any:
    """Return a saved state of ``kept`` with the rank's part of each tensor that ``kept`` has divided."""
    if "torch.distributed.tensor" not in sys.modules:
        return saved
    if not isinstance(kept, Optimizer):
        return _like(saved, kept.state_dict())
    parameters = [each for group in kept.param_groups for each in group["params"]]
    return saved | {
        "state": {
            index: {name: _part(value, parameters[index]) for name, value in values.items()}
            for index, values in saved["state"].items()
        }
    }


def _like(saved: Any, current: Any) -> Any:
    if isinstance(saved, dict) and isinstance(current, dict):
        made = copy(saved)
        made.update((key, _like(value, current.get(key))) for key, value in saved.items())
        return made
    return _part(saved, current)


def _part(saved: Any, current: Any) -> Any:
    """Return the rank's part of a tensor, if ``current`` is divided and of its shape."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(current, DTensor) or not isinstance(saved, Tensor) or saved.shape != current.shape:
        return saved
    # Every rank has the whole tensor: nothing is sent.
    place = saved.to(current.device)
    return distribute_tensor(place, current.device_mesh, current.placements, src_data_rank=None)
