"""Adam and AdamW on stacked parameters: every lane with its own rate, betas and number of steps."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from lrstudy.engine.lanes.optimizer_state import Column, StackedLanes, WeightDecay

# Options of torch's Adam that change its update rule; they are not implemented here.
_UNSUPPORTED: Final = ("amsgrad", "maximize", "capturable", "differentiable")


def is_plain_adam(optimizer: Optimizer) -> bool:
    """Return True if an optimizer is torch's Adam or AdamW, without options that change its rule."""
    if type(optimizer) not in (Adam, AdamW):
        return False
    return not any(group[name] for group in optimizer.param_groups for name in _UNSUPPORTED)


class StackedAdam:
    """Updates stacked parameters, (lanes, numbers), as the lanes' own ``torch.optim.Adam`` would.

    Before every step ``refresh`` reads rates, betas and weight decays from the lanes' optimizers, to which
    their schedules write. Their state becomes views of the stacked state, so that it always equals that of a
    lane trained alone; a lane's parameters share one step count.
    """

    def __init__(self, lanes: StackedLanes, optimizers: Sequence[Adam]) -> None:
        self._stacked, self._optimizers = lanes.numbers, optimizers
        self._groups = [optimizer.param_groups[0] for optimizer in optimizers]
        self._eps, self._decoupled = self._groups[0]["eps"], self._groups[0]["decoupled_weight_decay"]
        self._decay = WeightDecay(lanes, optimizers)
        self._counts = self._adopt_counts(lanes.parameters)
        self._steps = [int(count) for count in self._counts.tolist()]
        self._m, _ = lanes.adopt("exp_avg", optimizers)
        self._v, _ = lanes.adopt("exp_avg_sq", optimizers)
        self._columns = {name: Column(lanes.numbers) for name in ("lr", "1 - beta1", "beta2", "size", "root")}

    def refresh(self) -> Hashable:
        """Count a step and bring the options to the device; return those that a captured update fixes."""
        self._counts.add_(1)
        self._steps = [step + 1 for step in self._steps]
        rates = [float(group["lr"]) for group in self._groups]
        betas = [group["betas"] for group in self._groups]
        fixed = self._decay.refresh()
        columns = self._columns
        if fixed is not None and self._decoupled:
            columns["lr"].hold(rates)
        columns["beta2"].hold([b2 for _, b2 in betas])
        columns["1 - beta1"].hold([1 - b1 for b1, _ in betas])
        sizes = [-lr / (1 - b1**step) for lr, (b1, _), step in zip(rates, betas, self._steps, strict=True)]
        columns["size"].hold(sizes)
        roots = [(1 - b2**step) ** 0.5 for (_, b2), step in zip(betas, self._steps, strict=True)]
        columns["root"].hold(roots)
        return fixed

    def update(self, gradient: Tensor) -> None:
        """Update every lane with the options of ``refresh``. ``gradient`` is (lanes, numbers)."""
        # Notation of torch.optim.Adam: m ← β1m + (1 − β1)g, v ← β2v + (1 − β2)g²,
        # θ ← θ − γ/(1 − β1^t) · m/(√v/√(1 − β2^t) + ε).
        decay = self._decay.tensor
        lr, from_beta1, beta2, size, root = (column.tensor for column in self._columns.values())
        if decay is not None:
            if self._decoupled:
                self._stacked.mul_(1 - lr * decay)
            else:
                gradient = torch.addcmul(gradient, self._stacked, decay)
        self._m.lerp_(gradient, from_beta1)
        self._v.mul_(beta2).addcmul_(gradient, gradient * (1 - beta2))
        denominator = (self._v.sqrt() / root).add_(self._eps)
        self._stacked.addcdiv_(self._m * size, denominator)

    def _adopt_counts(self, parameters: Sequence[Sequence[Tensor]]) -> Tensor:
        """Return the lanes' step counts; the state of each parameter becomes a view of them."""
        states = [
            [optimizer.state[parameter] for parameter in own]
            for optimizer, own in zip(self._optimizers, parameters, strict=True)
        ]
        counts = torch.tensor([float(lane[0].get("step", 0.0)) for lane in states])
        for lane, count in zip(states, counts.unbind(), strict=True):
            for state in lane:
                state["step"] = count
        return counts
