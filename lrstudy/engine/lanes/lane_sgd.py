"""SGD on stacked parameters: all lanes in a few calls, each with its own rate and momentum."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from torch.optim import SGD

from lrstudy.engine.lanes.optimizer_state import Column, StackedLanes, WeightDecay


class StackedSGD:
    """Updates stacked parameters, (lanes, numbers), as the lanes' own ``torch.optim.SGD`` would.

    Before every step ``refresh`` reads rates, momenta and weight decays from the lanes' optimizers, to which
    their schedules write. Their momentum buffers become views of the stacked ones, so that a lane's optimizer
    state always equals that of a lane trained alone.
    """

    def __init__(self, lanes: StackedLanes, optimizers: Sequence[SGD]) -> None:
        self._lanes, self._optimizers = lanes, optimizers
        self._stacked = stacked = lanes.numbers
        self._groups = [optimizer.param_groups[0] for optimizer in optimizers]
        options = self._groups[0]
        self._dampening, self._nesterov = options["dampening"], options["nesterov"]
        self._decay = WeightDecay(lanes, optimizers)
        self._rate, self._momentum = Column(stacked), Column(stacked)
        self._buffer: Tensor | None = None
        self._fresh = stacked.new_zeros(len(stacked), 1)
        self._any = self._all = False  # lanes with momentum

    def refresh(self) -> Hashable:
        """Bring the lanes' options to the device; return those that a captured update holds fixed."""
        momenta = [group["momentum"] for group in self._groups]
        self._any, self._all = any(momenta), all(momenta)
        self._momentum.hold(momenta)
        self._rate.hold([float(group["lr"]) for group in self._groups])
        return self._any, self._all, self._decay.refresh()

    def update(self, gradient: Tensor) -> None:
        """Update every lane with the options of ``refresh``. ``gradient`` is (lanes, numbers)."""
        # Notation of torch.optim.SGD: b ← μb + (1 − τ)g, then θ ← θ − γb (Nesterov: θ − γ(g + μb)).
        if self._decay.tensor is not None:
            gradient = torch.addcmul(gradient, self._stacked, self._decay.tensor)
        if self._any:
            moved = self._with_momentum(gradient, self._momentum.tensor)
            # Without momentum torch uses the gradient undamped.
            gradient = moved if self._all else torch.where(self._momentum.tensor == 0, gradient, moved)
        self._stacked.addcmul_(gradient, self._rate.tensor, value=-1)

    def _with_momentum(self, gradient: Tensor, momentum: Tensor) -> Tensor:
        first = self._buffer is None
        if self._buffer is None:
            self._buffer, new = self._lanes.adopt("momentum_buffer", self._optimizers)
            self._fresh[new] = 1
        self._buffer.mul_(momentum)
        if first and self._dampening:
            # In a parameter's first step torch uses the gradient undamped.
            self._buffer.addcmul_(gradient, self._fresh * self._dampening + (1 - self._dampening))
        else:
            self._buffer.add_(gradient, alpha=1 - self._dampening)
        return torch.addcmul(gradient, self._buffer, momentum) if self._nesterov else self._buffer
