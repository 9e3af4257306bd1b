"""SGD on stacked parameters: every lane with its own rate and momentum, all of them in a few calls."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import SGD


class StackedSGD:
    """Moves stacked parameters, (lanes, numbers), as the lanes' own ``torch.optim.SGD`` would.

    Rates and momenta are read before every step from the lanes' optimizers, to which their schedules write.
    The momentum buffers in there become views of the stacked ones, so that a lane's optimizer state is
    always what it would be if the lane had trained alone.
    """

    def __init__(
        self, stacked: Tensor, optimizers: Sequence[SGD], parameters: Sequence[list[Tensor]]
    ) -> None:
        self._stacked, self._optimizers, self._parameters = stacked, optimizers, parameters
        self._groups = [optimizer.param_groups[0] for optimizer in optimizers]
        options = self._groups[0]
        self._dampening, self._nesterov = options["dampening"], options["nesterov"]
        self._decay = self._decay_of_every_number()
        self._rate, self._momentum = _Column(stacked), _Column(stacked)
        self._buffer: Tensor | None = None
        self._fresh = stacked.new_zeros(len(stacked), 1)

    def step(self, gradient: Tensor) -> None:
        """One step of every lane. ``gradient`` is (lanes, numbers)."""
        # Notation of torch.optim.SGD: b ← μb + (1 − τ)g, then θ ← θ − γb (Nesterov: θ − γ(g + μb)).
        if self._decay is not None:
            gradient = torch.addcmul(gradient, self._stacked, self._decay)
        momenta = [group["momentum"] for group in self._groups]
        if any(momenta):
            gradient = self._with_momentum(gradient, self._momentum.holding(momenta))
        rates = [float(group["lr"]) for group in self._groups]
        self._stacked.addcmul_(gradient, self._rate.holding(rates), value=-1)

    def _with_momentum(self, gradient: Tensor, momentum: Tensor) -> Tensor:
        first = self._buffer is None
        if self._buffer is None:
            self._buffer = self._adopt_buffers()
        self._buffer.mul_(momentum)
        if first and self._dampening:
            # torch's first step of a parameter takes the gradient undamped.
            self._buffer.addcmul_(gradient, self._fresh * self._dampening + (1 - self._dampening))
        else:
            self._buffer.add_(gradient, alpha=1 - self._dampening)
        return torch.addcmul(gradient, self._buffer, momentum) if self._nesterov else self._buffer

    def _adopt_buffers(self) -> Tensor:
        """The lanes' buffers, zero where a lane has none yet, stacked and left as views in their place."""
        buffer = torch.zeros_like(self._stacked)
        for lane, (optimizer, parameters) in enumerate(zip(self._optimizers, self._parameters, strict=True)):
            at = 0
            for parameter in parameters:
                part = buffer[lane, at : at + parameter.numel()].view_as(parameter)
                at += parameter.numel()
                own = optimizer.state[parameter].get("momentum_buffer")
                if own is None:
                    self._fresh[lane] = 1
                else:
                    part.copy_(own)
                optimizer.state[parameter]["momentum_buffer"] = part
        return buffer

    def _decay_of_every_number(self) -> Tensor | None:
        decays = {
            id(parameter): group["weight_decay"]
            for group in self._optimizers[0].param_groups
            for parameter in group["params"]
        }
        if not any(decays.values()):
            return None
        parts = [
            torch.full((p.numel(),), decays[id(p)], dtype=self._stacked.dtype) for p in self._parameters[0]
        ]
        return torch.cat(parts).to(self._stacked.device)


class _Column:
    """A number per lane as a (lanes, 1) tensor, made anew only where one has changed."""

    def __init__(self, like: Tensor) -> None:
        self._values: list[float] = []
        self._like = self._tensor = like

    def holding(self, values: list[float]) -> Tensor:
        if values != self._values:
            self._values = values
            self._tensor = torch.tensor(values, dtype=self._like.dtype).to(self._like.device).unsqueeze(1)
        return self._tensor
