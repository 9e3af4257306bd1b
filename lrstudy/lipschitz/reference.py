"""The same mathematics once more, in numpy float64, to be read beside the paper: what the tests compare with.

Slow on purpose: no shared code with the fast path, loops instead of broadcasting, exact eigenvalues
instead of iterations. Source: LipschitzLR, arXiv 1902.07399, and the authors' code where it differs.
A batch is its activations A, shape (m, h), float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def frobenius(matrix: Matrix) -> float:
    """‖W‖_F, the root of the sum of squares."""
    return math.sqrt(math.fsum(float(x) ** 2 for x in matrix.ravel()))


def kz(batches: Sequence[Matrix]) -> float:
    """Kz = max over batches of ‖A‖_F."""
    return max(frobenius(A) for A in batches)


def kz_for_every_batch(batches: Sequence[Matrix]) -> float:
    """√m · max over batches of ‖A‖_F/√m_b, m the rows of the largest: for bounds of short batches too."""
    m = max(len(A) for A in batches)
    return math.sqrt(m) * max(frobenius(A) / math.sqrt(len(A)) for A in batches)


def squares(batches: Sequence[Matrix]) -> float:
    """S = max over batches of ‖A∘A‖_F."""
    return max(frobenius(A * A) for A in batches)


def spectral(batches: Sequence[Matrix]) -> float:
    """Max over batches of λ_max(AᵀA)."""
    return max(float(np.linalg.eigvalsh(A.T @ A)[-1]) for A in batches)


def weight_norm(weights: Sequence[Matrix]) -> float:
    """w̄ = max over parameter tensors of ‖W‖_F."""
    return max(frobenius(W) for W in weights)


def coefficient(
    loss: str, m: int, outputs: int, *, ka: float = 0.0, y: float = 0.0, tau: float = 0.5, delta: float = 1.0
) -> float:
    """c, with L = c·Kz + λ·w̄. ``outputs`` is k for cross-entropy, n for the others; ``y`` is ‖y‖."""
    k = n = outputs
    if loss in ("cross-entropy", "clipped-cross-entropy"):
        return (k - 1) / (k * m)
    if loss == "binary-cross-entropy":
        return 1 / (2 * m * n)
    if loss == "least-squares":  # E = ‖a − y‖²/(2m)
        return (ka + y) / m
    if loss == "mse":  # E = ‖a − y‖²/(m·n)
        return 2 / n * (ka + y) / m
    if loss == "mae":
        return 1 / (m * n)
    if loss == "quantile":
        return max(tau, 1 - tau) / (m * n)
    if loss == "huber":
        return delta / (m * n)
    raise KeyError(loss)


def valid_coefficient(
    loss: str, m: int, outputs: int, *, ka: float = 0.0, y: float = 0.0, tau: float = 0.5, delta: float = 1.0
) -> float:
    """c such that ‖∂E/∂W_last‖_F ≤ c·‖A‖_F truly holds."""
    if loss in ("cross-entropy", "clipped-cross-entropy"):
        return math.sqrt(2 / m)
    if loss in ("least-squares", "mse"):
        return coefficient(loss, m, outputs, ka=ka, y=y)
    steepest = {"binary-cross-entropy": 1.0, "mae": 1.0, "quantile": max(tau, 1 - tau), "huber": delta}[loss]
    # m·n derivatives in the outputs, each at most steepest/(m·n).
    return math.sqrt(m * outputs) * steepest / (m * outputs)


@dataclass(frozen=True)
class Epoch:
    """One epoch's measurement: L and its coefficient c, Kz, S and w̄."""

    constant: float
    c: float
    kz: float
    s: float
    w: float


def learning_rates(
    rule: str,
    epochs: Sequence[Epoch],
    *,
    beta1: float = 0.0,
    beta2: float = 0.0,
    l2: float = 0.0,
    x: float | None = None,
    k1: float = 0.0,
    k2: float = 0.0,
    bias_correction: bool = False,
) -> list[float]:
    """The rate after each epoch's measurement, the averages starting from K = x, K1 and K2.

    Without x, K starts at the first L; under the bias correction, which is meant for that, at 0.
    """
    epsilon = 1e-7
    if x is None:
        x = 0.0 if bias_correction or not epochs else epochs[0].constant
    k = x
    rates = []
    for t, e in enumerate(epochs, start=1):
        k = beta1 * k + (1 - beta1) * e.constant
        k1 = beta1 * k1 + (1 - beta1) * e.constant
        k2 = beta2 * k2 + (1 - beta2) * (e.c**2 * e.s + 2 * l2 * e.w * e.c * e.kz)
        unbias1 = 1 - beta1**t if bias_correction else 1.0
        unbias2 = 1 - beta2**t if bias_correction else 1.0
        root = math.sqrt(k2 / unbias2) + epsilon
        rates.append(
            {
                "sgd": 1 / e.constant,
                "adamo": 1 / (k / unbias1),
                "rmsprop": root / e.kz,  # the authors' code
                "rmsprop-paper": root / e.constant,  # Algorithm 2
                "auto-adam": root / (k1 / unbias1),
            }[rule]
        )
    return rates
