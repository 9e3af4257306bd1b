"""The optimizer steps of lanes: SGD and Adam in a few calls for all lanes, other optimizers lane by lane."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import cast

from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from lrstudy.compat.torch import count_as_stepped, has_step_hooks
from lrstudy.engine.lanes.lane_adam import StackedAdam, is_plain_adam
from lrstudy.engine.lanes.lane_sgd import StackedSGD
from lrstudy.engine.lanes.optimizer_state import StackedLanes
from lrstudy.engine.lanes.stacked_model import Stacked


def steps_together(optimizer: Optimizer) -> bool:
    """Return True if lanes with this optimizer can take their steps together.

    Its groups may differ in their weight decay alone.
    """
    first, *others = [
        {name: value for name, value in group.items() if name not in ("params", "weight_decay")}
        for group in optimizer.param_groups
    ]
    alike = all(other == first for other in others)
    return alike and (type(optimizer) is SGD or is_plain_adam(optimizer))


class StackedSteps:
    """The optimizer steps of a stacked model, in which lanes whose optimizers step together come first.

    ``parameters`` are the lanes' own, in the model's order; the first ``count`` lanes step together. Call
    ``begin`` before each epoch.
    """

    def __init__(
        self, model: Stacked, optimizers: Sequence[Optimizer], parameters: Sequence[list[Tensor]], count: int
    ) -> None:
        self._together = list(optimizers[:count])
        self._model, self._count, self._others = model, count, list(optimizers[count:])
        self._stacked = _stack_optimizers(model, self._together, parameters[:count])
        self._gradients = [
            (parameter, part)
            for lane, row in zip(parameters[count:], model.last_gradient[count:], strict=True)
            for parameter, part in zip(lane, model.layout.parts(row), strict=True)
        ]
        self._hooked: list[Optimizer] = []

    def begin(self) -> None:
        """Prepare an epoch; hooks on the optimizers are assumed not to change within it."""
        for optimizer in self._together:
            optimizer.zero_grad(set_to_none=True)
            count_as_stepped(optimizer)
        self._hooked = [optimizer for optimizer in self._together if has_step_hooks(optimizer)]
        for parameter, gradient in self._gradients:
            parameter.grad = gradient

    @property
    def capturable(self) -> bool:
        """Return True if all lanes step together and nothing is hooked onto their optimizers."""
        return not (self._stacked is None or self._others or self._hooked)

    def refresh(self) -> Hashable:
        """Bring the lanes' options to the device; return those that a captured update holds fixed."""
        return None if self._stacked is None else self._stacked.refresh()

    def update(self) -> None:
        """Take one step of every lane with the model's last gradient; call ``refresh`` before."""
        if self._stacked is not None:
            self._stacked.update(self._model.last_gradient[: self._count])
        for optimizer in self._hooked:
            optimizer.step()  # only its hooks run: without gradients it updates nothing
        for optimizer in self._others:
            optimizer.step()


def _stack_optimizers(
    model: Stacked, optimizers: Sequence[Optimizer], parameters: Sequence[list[Tensor]]
) -> StackedSGD | StackedAdam | None:
    """Return one optimizer for all lanes: a study has one base optimizer, and others do not step together."""
    if not optimizers:
        return None
    lanes = StackedLanes(model.numbers[: len(optimizers)], model.layout, parameters)
    if type(optimizers[0]) is SGD:
        return StackedSGD(lanes, cast("Sequence[SGD]", optimizers))
    return StackedAdam(lanes, cast("Sequence[Adam]", optimizers))
