"""The optimizer steps of lanes: SGD's and Adam's in a few calls for all, any other optimizer's one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from lrstudy.compat.torch import count_as_stepped, has_step_hooks
from lrstudy.engine.lanes.lane_adam import StackedAdam, is_plain_adam
from lrstudy.engine.lanes.lane_sgd import StackedSGD
from lrstudy.engine.lanes.optimizer_state import StackedLanes
from lrstudy.engine.lanes.stacked_model import Stacked


def steps_together(optimizer: Optimizer) -> bool:
    """Return True if an optimizer's lane steps together with others of its class."""
    return type(optimizer) is SGD or is_plain_adam(optimizer)


class StackedSteps:
    """Moves the lanes of a stacked model; those whose optimizers step together come first in it.

    ``parameters`` are the lanes' own, in the model's order. Call ``begin`` ahead of an epoch.
    """

    def __init__(
        self, model: Stacked, optimizers: Sequence[Optimizer], parameters: Sequence[list[Tensor]]
    ) -> None:
        self._together = [optimizer for optimizer in optimizers if steps_together(optimizer)]
        count = len(self._together)
        self._model, self._count, self._others = model, count, list(optimizers[count:])
        self._stacked = _stack_optimizers(model, self._together, parameters[:count])
        self._gradients = [
            (parameter, part)
            for lane, row in zip(parameters[count:], model.last_gradient[count:], strict=True)
            for parameter, part in zip(lane, model.layout.parts(row), strict=True)
        ]
        self._hooked: list[Optimizer] = []

    def begin(self) -> None:
        """Get ready for an epoch, for whose length hooks on the optimizers are there or not."""
        for optimizer in self._together:
            optimizer.zero_grad(set_to_none=True)
            count_as_stepped(optimizer)
        self._hooked = [optimizer for optimizer in self._together if has_step_hooks(optimizer)]
        for parameter, gradient in self._gradients:
            parameter.grad = gradient

    def step(self) -> None:
        """One step of every lane, by the model's last gradient."""
        if self._stacked is not None:
            self._stacked.step(self._model.last_gradient[: self._count])
        for optimizer in self._hooked:
            optimizer.step()  # for its hooks: without gradients it moves nothing
        for optimizer in self._others:
            optimizer.step()


def _stack_optimizers(
    model: Stacked, optimizers: Sequence[Optimizer], parameters: Sequence[list[Tensor]]
) -> StackedSGD | StackedAdam | None:
    """One for all of them: a study has one base optimizer, and those that bring their own are not here."""
    if not optimizers:
        return None
    lanes = StackedLanes(model.numbers[: len(optimizers)], model.layout, parameters)
    if type(optimizers[0]) is SGD:
        return StackedSGD(lanes, cast("Sequence[SGD]", optimizers))
    return StackedAdam(lanes, cast("Sequence[Adam]", optimizers))
