"""The ranks of a data-parallel training, whose batches of a step are parts of one."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lrstudy.errors import Problem, SchedulerError

_REMEDY = (
    "Give the DistributedDataParallel model itself, or process_group=torch.distributed.group.WORLD (or the"
    " group that trains it together); process_group=False if each rank trains another model."
)


class Ranks:
    """A process group of several ranks; ``None`` is the default group."""

    def __init__(self, group: Any = None) -> None:
        self._group = group

    def merge(self, problem: SchedulerError | None, sums: Tensor) -> Tensor:
        """Return the sums of all ranks' steps, (ranks, steps, …); what stops one rank stops all."""
        head = torch.tensor([int(problem is not None), len(sums)], device=sums.device)
        told = self._gather(head)
        if problem is not None:
            raise problem
        failed = torch.nonzero(told[:, 0]).flatten().tolist()
        steps = told[:, 1].tolist()
        if failed:
            raise _refusal(
                f"the measurement failed on rank {failed[0]}, whose message says why",
                "See that rank's output.",
            )
        if len(set(steps)) > 1:
            raise _refusal(
                f"the ranks took {steps} steps, which cannot be put together",
                "Let each rank take as many steps in an epoch: drop what is left over (drop_last=True).",
            )
        return self._gather(sums) if len(sums) else sums.unsqueeze(0)

    def largest(self, value: float, device: torch.device) -> float:
        """Return the largest value that any rank has."""
        return float(self._gather(torch.tensor([value], dtype=torch.float32, device=device)).max())

    def _gather(self, tensor: Tensor) -> Tensor:
        size = dist.get_world_size(self._group)
        parts = [torch.empty_like(tensor) for _ in range(size)]
        dist.all_gather(parts, tensor.contiguous(), group=self._group)
        return torch.stack(parts)

    def __deepcopy__(self, memo: dict[int, Any]) -> Ranks:
        return self

    def __reduce__(self) -> tuple[type[Ranks], tuple[()]]:
        # A group cannot be pickled; a copy in another process has the default one there.
        return Ranks, ()


def ranks_of(model: nn.Module, process_group: Any) -> Ranks | None:
    """Return the ranks that train ``model`` together; None for a single one.

    They are those of ``process_group``, or of the DistributedDataParallel wrapper in ``model``. Several ranks
    without either are refused, because each would set another rate. So are sharded parameters.
    """
    if process_group is False or not (dist.is_available() and dist.is_initialized()):
        if process_group:
            raise _refusal("a process group is given, but torch.distributed is not initialised", _REMEDY)
        return None
    _refuse_shards(model)
    wrapper = next((m for m in model.modules() if isinstance(m, DistributedDataParallel)), None)
    if process_group is None and wrapper is not None:
        process_group = wrapper.process_group
    if process_group is None and dist.get_world_size() > 1:
        raise _refusal(
            f"torch.distributed has {dist.get_world_size()} ranks, and each would measure and use another"
            " rate",
            _REMEDY,
        )
    return Ranks(process_group) if dist.get_world_size(process_group) > 1 else None


def _refuse_shards(model: nn.Module) -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel  # slow to load, and seldom wanted
    from torch.distributed.tensor import DTensor

    if any(isinstance(module, FullyShardedDataParallel) for module in model.modules()) or any(
        isinstance(parameter, DTensor) for parameter in model.parameters()
    ):
        raise _refusal(
            "the model's parameters are sharded, so that w̄ cannot be measured", "Use data parallel."
        )


def _refusal(message: str, remedy: str) -> SchedulerError:
    return SchedulerError(Problem("LipschitzLR", "process_group", message, remedy))
