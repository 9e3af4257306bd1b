"""The loss's constant L, for every loss: pure functions of what was measured on the batches.

Source, unless a docstring says otherwise: R. Yedida, S. Saha and T. Prashanth, LipschitzLR, arXiv 1902.07399.
Symbols: ``kz`` is Kz, the largest ‖A‖_F over the batches, A being the input of the last linear layer,
shape (m, h); ``m`` the rows of a batch; ``classes`` k. Norms may be floats or tensors of any shape (one
element per lane of a stacked model). Every loss is averaged over the rows and, but for the two
cross-entropies with their own row below and least squares, over the outputs too, as PyTorch does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeVar

from torch import Tensor

Number = TypeVar("Number", float, Tensor)

LOSSES: Final = (
    "cross-entropy",
    "clipped-cross-entropy",
    "binary-cross-entropy",
    "least-squares",
    "mse",
    "mae",
    "quantile",
    "huber",
)
BOUNDS: Final = ("paper", "valid", "smoothness", "network", "secant")
# Measured with the loss itself on training batches, in all trainable parameters (see ``curvature``).
OF_ALL_LAYERS: Final = frozenset({"network", "secant"})
# One term a row; the others have one for each output of a row.
PER_ROW: Final = frozenset({"cross-entropy", "clipped-cross-entropy", "least-squares"})
NEEDS_TARGETS: Final = frozenset({"least-squares", "mse"})
# Their second derivative does not exist where the residual is zero.
NOT_SMOOTH: Final = frozenset({"mae", "quantile"})


def softmax_cross_entropy(kz: Number, m: int, classes: int) -> Number:
    """Return L = (k − 1)/(k·m) · Kz.

    >>> softmax_cross_entropy(100.0, m=64, classes=4)
    1.171875
    """
    return kz * ((classes - 1) / (classes * m))


def binary_cross_entropy(kz: Number, m: int, outputs: int = 1) -> Number:
    """Return L = Kz/(2m) behind a sigmoid; averaged over the outputs where there are several."""
    return kz * (1 / (2 * m * outputs))


def least_squares(kz: Number, ka: Number, target_norm: Number, m: int) -> Number:
    """Return L = (Ka + ‖y‖)/m · Kz for E = ‖a − y‖²/(2m); Ka bounds ‖a‖, both norms over a whole batch.

    The paper's 2020 text; the 2019 text prints a minus, which does not bound the gradient.
    """
    return (ka + target_norm) * kz / m


def mean_squared_error(kz: Number, ka: Number, target_norm: Number, m: int, outputs: int = 1) -> Number:
    """Return L of ``torch.nn.MSELoss``: E = ‖a − y‖²/(m·n) is 2/n times the paper's least squares."""
    return least_squares(kz, ka, target_norm, m) * (2 / outputs)


def mean_absolute_error(kz: Number, m: int, outputs: int = 1) -> Number:
    """Return L = Kz/(m·n) with n outputs (the code of the sibling paper, arXiv 2006.13307)."""
    return kz * (1 / (m * outputs))


def quantile(kz: Number, m: int, tau: float, outputs: int = 1) -> Number:
    """Return L = max(τ, 1 − τ)·Kz/(m·n): the pinball loss's steeper slope (derived as for MAE)."""
    return kz * (max(tau, 1 - tau) / (m * outputs))


def huber(kz: Number, m: int, delta: float, outputs: int = 1) -> Number:
    """Return L = δ·Kz/(m·n): beyond its threshold δ the loss's slope is δ (derived as for MAE)."""
    return kz * (delta / (m * outputs))


def l2_term(l2: float, weight_norm: Number) -> Number:
    """Return λ·w̄, what a penalty (λ/2)‖w‖² adds to L; w̄ is the largest ‖W‖_F over the parameter tensors."""
    return weight_norm * l2


@dataclass(frozen=True, slots=True)
class LossShape:
    """A loss with the numbers, other than norms, that its constant depends on.

    ``name`` is one of ``LOSSES``; ``outputs`` the width of the last layer (k classes, or n outputs);
    ``tau`` the quantile's τ in (0, 1); ``delta`` Huber's threshold δ. ``summed``: not averaged over rows
    and outputs, but summed. The factors are those of weights and smoothed labels (see ``losses``), on the
    paper's constant, the valid bound and the smoothness.
    """

    name: str
    outputs: int
    tau: float = 0.5
    delta: float = 1.0
    summed: bool = False
    paper_factor: float = 1.0
    slope_factor: float = 1.0
    curvature_factor: float = 1.0

    @property
    def slope(self) -> float:
        """The largest derivative of the summed loss in one output, for losses taken element by element."""
        return {"quantile": max(self.tau, 1 - self.tau), "huber": self.delta}.get(self.name, 1.0)

    def terms(self, m: int) -> int:
        """Return the number of terms that the loss of m rows is a sum of, if it is not averaged over them."""
        if not self.summed:
            return 1
        return m if self.name in PER_ROW else m * self.outputs


def data_constant(loss: LossShape, kz: Number, m: int, ka: Number, target_norm: Number) -> Number:
    """Return the paper's L without the L2 term; ``ka`` and ``target_norm`` matter to squared losses only."""
    return _mean_constant(loss, kz, m, ka, target_norm) * (loss.terms(m) * loss.paper_factor)


def _mean_constant(loss: LossShape, kz: Number, m: int, ka: Number, target_norm: Number) -> Number:
    match loss.name:
        case "cross-entropy" | "clipped-cross-entropy":
            return softmax_cross_entropy(kz, m, loss.outputs)
        case "binary-cross-entropy":
            return binary_cross_entropy(kz, m, loss.outputs)
        case "least-squares":
            return least_squares(kz, ka, target_norm, m)
        case "mse":
            return mean_squared_error(kz, ka, target_norm, m, loss.outputs)
        case "mae":
            return mean_absolute_error(kz, m, loss.outputs)
        case "quantile":
            return quantile(kz, m, loss.tau, loss.outputs)
        case "huber":
            return huber(kz, m, loss.delta, loss.outputs)
    raise KeyError(loss.name)


def valid_gradient_bound(loss: LossShape, kz: Number, m: int, ka: Number, target_norm: Number) -> Number:
    """Return a true upper bound on ‖∂E/∂W_last‖_F without the L2 term: ‖G‖_F·Kz, G the outputs' gradient.

    Cross-entropy: a row of G is (p − y)/m and ‖p − y‖ ≤ √2, so √(2/m)·Kz. A loss taken element by
    element with slope at most b: b/√(m·n)·Kz. Least squares: the paper's own constant is valid.
    """
    factor = loss.terms(m) * loss.slope_factor
    if loss.name in NEEDS_TARGETS:
        return _mean_constant(loss, kz, m, ka, target_norm) * factor
    if loss.name in ("cross-entropy", "clipped-cross-entropy"):
        return kz * (math.sqrt(2 / m) * factor)
    return kz * (loss.slope / math.sqrt(m * loss.outputs) * factor)


def smoothness(loss: LossShape, spectral: Number, m: int) -> Number:
    """Return the Lipschitz constant of the *gradient* in the last layer's weights, without the L2 term.

    ``spectral`` is λ_max(AᵀA). Softmax cross-entropy: λ_max(AᵀA)/(2m), for diag(p) − ppᵀ has no
    eigenvalue above 1/2. The other losses likewise, with the largest second derivative in an output.
    MAE and quantile have none (``KeyError``).
    """
    curvature = {
        "cross-entropy": 1 / 2,
        "clipped-cross-entropy": 1 / 2,
        "binary-cross-entropy": 1 / (4 * loss.outputs),
        "least-squares": 1.0,
        "mse": 2 / loss.outputs,
        "huber": 1 / loss.outputs,
    }[loss.name]
    return spectral * (curvature / m * loss.terms(m) * loss.curvature_factor)
