"""Turns L into a learning rate, once per epoch, for each base optimizer (LipschitzLR §5–8; authors' code).

``adamo`` is SGD with momentum; its gradient average is the damped one, v ← βv + (1 − β)g. Where the
paper's text and the authors' code differ (RMSprop), both forms are here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

EPSILON: Final = 1e-7  # ε, Keras's
RULES: Final = ("sgd", "adamo", "rmsprop", "rmsprop-paper", "auto-adam")
# Only these follow the squared gradient, so only these need S = max ‖A∘A‖_F.
NEEDS_SQUARES: Final = frozenset({"rmsprop", "rmsprop-paper", "auto-adam"})
# The squared gradient in K2: c²·S, as in the authors' code, or c²·Kz², as in the paper's text.
SQUARES: Final = ("coded", "written")


@dataclass(frozen=True, slots=True)
class Averages:
    """The rules' moving averages: K (AdaMo), K1 and K2 (RMSprop, Auto-Adam), and the updates made, t.

    Where K is None it starts at the first L.
    """

    k: float | None = 0.0
    k1: float = 0.0
    k2: float = 0.0
    t: int = 0


def second_moment(coefficient: float, squares: float, kz: float, l2: float, weight_norm: float) -> float:
    """Return c²·S + 2λ·w̄·c·Kz, what K2 averages; ``coefficient`` is c, with c·Kz the constant's data term."""
    return coefficient**2 * squares + 2 * l2 * weight_norm * coefficient * kz


def advance(
    rule: str, averages: Averages, constant: float, moment: float, beta1: float, beta2: float
) -> Averages:
    """Return the averages after one more epoch. ``constant`` is L, ``moment`` as from ``second_moment``.

    ``beta1`` is the momentum (AdaMo) or Adam's β1, ``beta2`` RMSprop's β or Adam's β2.
    """
    k, k1, k2 = averages.k, averages.k1, averages.k2
    if rule == "adamo":
        k = constant if k is None else beta1 * k + (1 - beta1) * constant
    if rule == "auto-adam":
        k1 = beta1 * k1 + (1 - beta1) * constant
    if rule in NEEDS_SQUARES:
        k2 = beta2 * k2 + (1 - beta2) * moment
    return Averages(k, k1, k2, averages.t + 1)


def learning_rate(
    rule: str,
    averages: Averages,
    constant: float,
    kz: float,
    beta1: float,
    beta2: float,
    *,
    bias_correction: bool = False,
) -> float:
    """Return the rate of the coming epoch, with averages already advanced.

    sgd: 1/L. adamo: 1/K. rmsprop: (√K2 + ε)/Kz (code); rmsprop-paper: (√K2 + ε)/L (Algorithm 2).
    auto-adam: (√K2 + ε)/K1. ``bias_correction`` divides K, K1 and K2 by 1 − β^t (§8.4).
    """
    first = second = 1.0
    if bias_correction:
        first, second = 1 - beta1**averages.t, 1 - beta2**averages.t
    match rule:
        case "sgd":
            return 1 / constant
        case "adamo":
            assert averages.k is not None
            return first / averages.k
        case "rmsprop":
            return (math.sqrt(averages.k2 / second) + EPSILON) / kz
        case "rmsprop-paper":
            return (math.sqrt(averages.k2 / second) + EPSILON) / constant
        case "auto-adam":
            return (math.sqrt(averages.k2 / second) + EPSILON) * first / averages.k1
    raise KeyError(rule)
