"""Gradient clipping by the norm of a step's whole gradient, and the share of steps that it changed."""

from __future__ import annotations

import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer


class GradientClip:
    """Scales the gradient of an optimizer's parameters down to ``max_norm`` where its 2-norm is larger.

    The clipped steps are counted on the device, without synchronising.
    """

    def __init__(self, max_norm: float, optimizer: Optimizer) -> None:
        self._max_norm = max_norm
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._clipped = torch.zeros((), dtype=torch.int64, device=self._parameters[0].device)
        self._steps = 0

    def __call__(self) -> None:
        """Clip the gradient that the parameters have now."""
        norm = clip_grad_norm_(self._parameters, self._max_norm)
        self._clipped += norm > self._max_norm
        self._steps += 1

    def take_share(self) -> float:
        """Return the share of clipped steps since the last call (NaN: no steps); synchronises."""
        share = int(self._clipped) / self._steps if self._steps else float("nan")
        self._clipped.zero_()
        self._steps = 0
        return share
