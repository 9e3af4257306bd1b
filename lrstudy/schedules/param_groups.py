"""The values of an optimizer's parameter groups: one rate for all, their ratios kept, and the momentum."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lrstudy.errors import Problem, SchedulerError


def write_rate(group: dict[str, Any], rate: float) -> None:
    """Set one group's rate."""
    if isinstance(group["lr"], Tensor):  # captured and compiled steps read this very tensor
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


class Groups:
    """An optimizer's parameter groups, steered by the rate of the first one."""

    def __init__(self, optimizer: Optimizer) -> None:
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        if not all(0.0 < rate < float("inf") for rate in rates):
            message = "every parameter group must start at a finite rate above 0"
            raise SchedulerError(Problem("optimizer", "lr", message, "Give the optimizer such an lr.", rates))
        self.optimizer = optimizer
        self.own_lr = rates[0]
        self.ratios = [rate / rates[0] for rate in rates]
        self._written: float | None = None

    def set_rate(self, rate: float) -> None:
        """Set the first group's rate, and the others' in proportion."""
        if rate == self._written:  # most steps of most schedules change nothing
            return
        self._written = rate
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            write_rate(group, rate * ratio)

    def forget(self) -> None:
        """Write the next rate even if it is unchanged: others may have changed the groups."""
        self._written = None


def has_momentum(optimizer: Optimizer) -> bool:
    """Return True if every group has a momentum (Adam: beta1) to move."""
    return all("momentum" in group or "betas" in group for group in optimizer.param_groups)


def read_momentum(group: dict[str, Any]) -> float:
    """Return the momentum, or Adam's beta1, of a group."""
    return float(group["betas"][0] if "betas" in group else group["momentum"])


def set_momentum(optimizer: Optimizer, momentum: float) -> None:
    """Set the momentum, or Adam's beta1, of every group."""
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum
