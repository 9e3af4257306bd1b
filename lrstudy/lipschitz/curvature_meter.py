"""The curvature that stands for L with ``bound="network"`` and ``"secant"``, measured once per epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from lrstudy.lipschitz.curvature import largest_eigenvalue, step_smoothness
from lrstudy.lipschitz.measure import draw_batches
from lrstudy.lipschitz.meter_settings import MeterSettings
from lrstudy.rules.seeding import derive_seed

# On the paper's CNN the estimate is then within 1% of its limit, at the cost of 20 training steps.
_ITERATIONS: Final = 10


class CurvatureMeter:
    """Measures the loss's curvature in all trainable parameters, on a training batch drawn for each epoch.

    ``network``: λ_max of the Hessian. ``secant``: the smoothness along the batch's own gradient step, at the
    rate in force. As in training: batch-norm has the batch's statistics, and dropout one mask. A batch is as
    many of the loader's as make a step. Derived here: the paper looks at the last layer only.
    """

    def __init__(self, settings: MeterSettings) -> None:
        self._settings = settings

    def measure(self, model: nn.Module, epoch: int, rate: float) -> float:
        """Return the curvature for the coming epoch (from 0), NaN if unknown; ``rate`` is in force."""
        s = self._settings
        seed = derive_seed(s.seed, "lipschitz-curvature", epoch)
        batches = draw_batches(model, s.open_batches(), s.accumulate, seed)
        if s.bound == "network":
            return float(largest_eigenvalue(model, self._mean_loss, batches, _ITERATIONS, seed=seed))
        return float(step_smoothness(model, self._mean_loss, batches, rate, seed=seed))

    def _mean_loss(self, call: Callable[..., Any], batches: list[Any]) -> Tensor:
        assert self._settings.objective is not None
        losses = torch.stack([self._settings.objective(call, batch) for batch in batches])
        return losses.sum() if self._settings.summed else losses.mean()
