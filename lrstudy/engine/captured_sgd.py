"""torch's SGD inside a captured step: the same numbers, with rates and momenta read from the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.sgd import sgd

from lrstudy.compat.torch import foreach_add, foreach_add_, foreach_mul_, foreach_subtract_, has_step_hooks

# Per group: weight decay, dampening, nesterov, and True for a momentum above 0.
Constants = tuple[tuple[float, float, bool, bool], ...]


def constants_of(optimizer: Optimizer) -> Constants | None:
    """Return the values that a captured update fixes; None if the optimizer cannot be captured.

    Rates and momenta may change from step to step. Step hooks may do anything: an update with one cannot be
    captured.
    """
    if type(optimizer) is not SGD or has_step_hooks(optimizer):
        return None
    groups = optimizer.param_groups
    if any(group["maximize"] or group["differentiable"] for group in groups):
        return None
    if any(isinstance(group[name], Tensor) for group in groups for name in ("lr", "momentum")):
        return None
    return tuple((g["weight_decay"], g["dampening"], g["nesterov"], g["momentum"] != 0) for g in groups)


class CapturedSGD:
    """The update of a ``torch.optim.SGD`` (with ``constants_of`` not None), to be captured in a graph.

    The graph captures ``run``. Before each replay ``adopt`` and ``refresh`` bring the graph's tensors up to
    date with an optimizer: the one of the capture, or another trial's over a model of the same kind.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        groups = optimizer.param_groups
        self._rates = [_Number(group["params"][0]) for group in groups]
        self._momenta = [_Number(group["params"][0]) for group in groups]
        # By group and parameter; None where the capture found no gradient.
        self._buffers: list[list[Tensor | None]] = [[None] * len(group["params"]) for group in groups]

    @torch.no_grad()
    def run(self, optimizer: Optimizer) -> None:
        """Update the parameters that have a gradient; the optimizer must have taken a step before."""
        # Notation of torch.optim.SGD: g ← g + λθ, b ← μb + (1 − τ)g, θ ← θ − γb (Nesterov: θ − γ(g + μb)).
        for group, rate, momentum, buffers in zip(
            optimizer.param_groups, self._rates, self._momenta, self._buffers, strict=True
        ):
            moved = [i for i, parameter in enumerate(group["params"]) if parameter.grad is not None]
            parameters = [group["params"][i] for i in moved]
            if not parameters:
                continue
            steps: Sequence[Tensor] = [parameter.grad for parameter in parameters]
            if group["weight_decay"]:
                steps = foreach_add(steps, parameters, group["weight_decay"])
            if group["momentum"]:
                own = [optimizer.state[parameter]["momentum_buffer"] for parameter in parameters]
                foreach_mul_(own, momentum.tensor)
                foreach_add_(own, steps, 1 - group["dampening"])
                if group["nesterov"]:
                    steps = [step.clone() for step in steps]
                    _subtract(steps, own, -momentum.tensor)
                else:
                    steps = own
                for i, buffer in zip(moved, own, strict=True):
                    buffers[i] = buffer
            _subtract(parameters, steps, rate.tensor)

    def adopt(self, optimizer: Optimizer) -> bool:
        """Give the optimizer the graph's momentum buffers, after copying its values into them.

        Return True if that is possible. It is not before the first step with dampening: torch does not damp
        a parameter's first step, but the graph would.
        """
        for group, buffers in zip(optimizer.param_groups, self._buffers, strict=True):
            for parameter, buffer in zip(group["params"], buffers, strict=True):
                if buffer is None:
                    continue
                state = optimizer.state[parameter]
                own = state.get("momentum_buffer")
                if own is buffer:
                    continue
                if own is not None:
                    buffer.copy_(own)
                elif group["dampening"]:
                    return False
                else:
                    buffer.zero_()  # μ·0 + g is torch's first step
                state["momentum_buffer"] = buffer
        return True

    def refresh(self, optimizer: Optimizer) -> None:
        """Copy the rates and momenta that changed to the device; nothing is read back from it."""
        for group, rate, momentum in zip(optimizer.param_groups, self._rates, self._momenta, strict=True):
            rate.hold(group["lr"])
            momentum.hold(group["momentum"])


class _Number:
    """A number on a parameter's device and in its dtype, written only when it changes."""

    def __init__(self, like: Tensor) -> None:
        self.tensor = torch.zeros((), device=like.device, dtype=like.dtype)
        self._value = 0.0

    def hold(self, value: float) -> None:
        if value != self._value:
            self._value = value
            self.tensor.fill_(value)


def _subtract(targets: Sequence[Tensor], sources: Sequence[Tensor], factor: Tensor) -> None:
    """Compute targets ← targets − factor·sources in a few kernels, which read the factor when they run."""
    if factor.dtype is not torch.float32:
        # On a GPU the fused kernel below reads factors as float32. Here the product is rounded separately.
        foreach_subtract_(targets, sources, factor)
        return
    # torch's fused SGD without momentum computes exactly this, and rounds once, as the unfused one does. It
    # requires equal strides, and those of a dimension of size 1 may differ.
    laid_out = [
        source if source.stride() == target.stride() else torch.empty_like(target).copy_(source)
        for source, target in zip(sources, targets, strict=True)
    ]
    sgd(
        list(targets),
        laid_out,
        [None] * len(laid_out),
        fused=True,
        lr=factor,
        weight_decay=0.0,
        momentum=0.0,
        dampening=0.0,
        nesterov=False,
        maximize=False,
    )
