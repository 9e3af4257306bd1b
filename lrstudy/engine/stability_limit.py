"""The largest learning rate at which gradient descent is stable on a quadratic of a given curvature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import SGD, Optimizer


def limit_times_curvature(optimizer: Optimizer) -> float | None:
    """Return η·λ at the edge of stability, so that the limit is this over λ; None where it is not known.

    On the quadratic λw²/2 the steps of SGD with momentum β and dampening d are the recurrence

        w₊ = w − ηv₊ with v₊ = βv + (1 − d)λw, so w₊ = (1 + β − η(1 − d)λ)w − βw₋

    whose roots are within the unit circle while η(1 − d)λ < 2(1 + β). So η·λ is at most

    - 2 without momentum,
    - 2(1 + β)/(1 − d) with it: 2(1 + β) as torch has it by default, 2(1 + β)/(1 − β) where d = β,
    - 2(1 + β)/(1 + 2β) with Nesterov's, whose step is η(λw + βv₊).

    Weight decay is left out: it adds itself to λ. Other optimizers divide by a norm, and a rate
    that differs between groups has no single limit: None.
    """
    if not isinstance(optimizer, SGD):
        return None
    limits = {_limit(group) for group in optimizer.param_groups}
    rates = {float(group["lr"]) for group in optimizer.param_groups}
    return limits.pop() if len(limits) == len(rates) == 1 else None


def _limit(group: Mapping[str, Any]) -> float:
    momentum, dampening = float(group["momentum"]), float(group["dampening"])
    if not momentum:  # torch then leaves the dampening out
        return 2.0
    if group["nesterov"]:
        return 2 * (1 + momentum) / (1 + 2 * momentum)
    return 2 * (1 + momentum) / (1 - dampening)
