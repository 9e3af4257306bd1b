"""The optimizer steps of lanes: plain SGD's in a few calls for all, any other optimizer's one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from lrstudy.lanes.sgd import StackedSGD
from lrstudy.lanes.stacked import Stacked
from lrstudy.uncompiled import count_as_stepped


def steps_together(optimizer: Optimizer) -> bool:
    """Whether an optimizer's lane steps together with its like."""
    return type(optimizer) is SGD


class StackedSteps:
    """Moves the lanes of a stacked model; those whose optimizers step together come first in it.

    ``parameters`` are the lanes' own, in the model's order. Call ``begin`` ahead of an epoch.
    """

    def __init__(
        self, model: Stacked, optimizers: Sequence[Optimizer], parameters: Sequence[list[Tensor]]
    ) -> None:
        together = [cast("SGD", optimizer) for optimizer in optimizers if steps_together(optimizer)]
        count = len(together)
        self._model, self._count = model, count
        self._sgd = StackedSGD(model.numbers[:count], together, parameters[:count]) if together else None
        self._together, self._others = together, list(optimizers[count:])
        sizes = [parameter.numel() for parameter in parameters[0]]
        self._gradients = [
            (parameter, part.view_as(parameter))
            for lane, row in zip(parameters[count:], model.last_gradient[count:], strict=True)
            for parameter, part in zip(lane, torch.split(row, sizes), strict=True)
        ]
        self._hooked: list[SGD] = []

    def begin(self) -> None:
        """Get ready for an epoch, for whose length hooks on the optimizers are there or not."""
        for optimizer in self._together:
            optimizer.zero_grad(set_to_none=True)
            count_as_stepped(optimizer)
        self._hooked = [optimizer for optimizer in self._together if _has_step_hooks(optimizer)]
        for parameter, gradient in self._gradients:
            parameter.grad = gradient

    def step(self) -> None:
        """One step of every lane, by the model's last gradient."""
        if self._sgd is not None:
            self._sgd.step(self._model.last_gradient[: self._count])
        for hooked in self._hooked:
            hooked.step()  # for its hooks: without gradients it moves nothing
        for optimizer in self._others:
            optimizer.step()


def _has_step_hooks(optimizer: Optimizer) -> bool:
    return bool(optimizer._optimizer_step_post_hooks)  # noqa: SLF001 - torch lists them nowhere else
