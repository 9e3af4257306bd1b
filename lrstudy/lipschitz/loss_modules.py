"""torch's loss modules, with their weights, as what a constant depends on.

Notation as in ``constants``; G is the gradient in the outputs, (m, n), of which ‖∂E/∂W‖_F ≤ ‖G‖_F·‖A‖_F.

Class weights w of ``CrossEntropyLoss``, averaged: E = Σᵢ w_yᵢ ℓᵢ / Σᵢ w_yᵢ. A row of G is
w_yᵢ(p − e_yᵢ)/Σw_y, so ‖G‖_F ≤ √2·√(Σw_y²)/Σw_y, whatever the m labels are at most
√(2/m)·(a + b)/(2√(ab)), a and b being the smallest and the largest weight (Pólya and Szegő). Summed: √(2m)·b.
The second derivative has w_yᵢ/Σw_y ≤ b/(a·m) for 1/m. The paper has no constant for averaged class weights:
its own depends on how often each class occurs in a batch.

Smoothed labels: the target is q = (1 − ε)e_y + ε/k, and ‖p − q‖ is largest at a corner p = e_j, j ≠ y:
‖e_j − q‖² = (1 − ε/k)² + (1 − ε + ε/k)² + (k − 2)(ε/k)². With class weights a row of G is, before it is
divided, (1 − ε)w_y(p − e_y) + (ε/k)(S·p − w), S = Σw, again largest at a corner; written αe_j − βe_y − γw
its square is α² + β² + γ²‖w‖² − 2αγw_j + 2βγw_y. The bound takes max over y and j of its norm over w_y for
the √2 above (over 1 where summed). The second derivative has (1 − ε)w_y + (ε/k)S for w_y.

``BCEWithLogitsLoss``: the slope in an output is at most max(1, p)·w with positive weight p and weight w, so
‖G‖_F ≤ √(mean over the outputs of its square)/√(m·n). Its second derivative is at most max(1, p)·w/4. The
paper's constant is taken at an output of 0, half the slope: largest over the outputs.

``SmoothL1Loss`` is Huber's over its threshold β: slope 1, second derivative 1/β.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from lrstudy.errors import all_known, did_you_mean
from lrstudy.lipschitz.constants import LOSSES, NOT_SMOOTH, PER_ROW, LossShape
from lrstudy.lipschitz.refusals import Complaints

_NAMES: Final[dict[type[nn.Module], str]] = {
    nn.CrossEntropyLoss: "cross-entropy",
    nn.BCEWithLogitsLoss: "binary-cross-entropy",
    nn.MSELoss: "mse",
    nn.L1Loss: "mae",
    nn.HuberLoss: "huber",
    nn.SmoothL1Loss: "huber",
}
# Losses of what follows the last linear layer, which are others' of that layer's outputs.
_BY_LOGITS: Final[dict[type[nn.Module], str]] = {
    nn.NLLLoss: "Behind a log_softmax it is the cross-entropy of the last linear layer's outputs: give"
    " loss='cross-entropy', and that layer by head=.",
    nn.BCELoss: "Behind a sigmoid it is the cross-entropy of the last linear layer's outputs: give"
    " loss='binary-cross-entropy', and that layer by head=.",
}
# The label that torch's cross-entropy leaves out by default.
IGNORED: Final = -100
IGNORED_REMEDY: Final = (
    "Leave these rows out before the last layer; or give loss='cross-entropy' with batch_size=, the least"
    " number of rows in a step that are not left out."
)


def loss_shape(
    loss: object, outputs: int | None, tau: float, delta: float, bound: str, complaints: Complaints
) -> LossShape:
    """Return the loss with what its constant depends on; ``loss`` is a name or one of torch's loss modules.

    ``outputs`` is None as long as the last layer is not known. The shape is usable only if nothing was noted
    in ``complaints``.
    """
    shape = LossShape("", outputs or 2, tau, delta)
    if isinstance(loss, nn.Module):
        shape = _of_module(loss, shape, bound, complaints)
        if not shape.name:
            return shape
    elif loss not in LOSSES:
        complaints.add("loss", loss, "has no constant", did_you_mean(str(loss), LOSSES))
        return shape
    else:
        shape = replace(shape, name=str(loss))
    if shape.name in PER_ROW - {"least-squares"} and outputs == 1:
        complaints.add(
            "loss",
            shape.name,
            "needs one output per class, the last layer has 1",
            "Use 'binary-cross-entropy'.",
        )
    smooth = shape.name not in NOT_SMOOTH and math.isfinite(shape.curvature_factor)
    if bound in ("smoothness", "network") and not smooth:
        complaints.add("bound", bound, f"does not exist for {shape.name}: its slope jumps", "Use 'paper'.")
    complaints.number("tau", tau, 0, 1)
    complaints.number("delta", delta, 0)
    return shape


def _of_module(loss: nn.Module, shape: LossShape, bound: str, complaints: Complaints) -> LossShape:
    base = next((known for known in _NAMES if isinstance(loss, known)), None)
    if base is None:
        remedy = _BY_LOGITS.get(type(loss)) or all_known(list(LOSSES))
        complaints.add("loss", type(loss).__name__, "has no constant", remedy)
        return shape
    if type(loss).forward is not base.forward:
        complaints.add(
            "loss",
            type(loss).__name__,
            f"is a {base.__name__} with its own forward, whose constant is not known",
            f"Give the loss that bounds its slope by name: {', '.join(LOSSES)}.",
        )
        return shape
    reduction = getattr(loss, "reduction", "mean")
    if reduction not in ("mean", "sum"):
        complaints.add(
            "loss",
            loss,
            f"has reduction={reduction!r}: how its terms are put together is not known",
            "Use reduction='mean' or 'sum'.",
        )
        return shape
    shape = replace(shape, name=_NAMES[base], summed=reduction == "sum")
    match loss:
        case nn.CrossEntropyLoss():
            return _cross_entropy(loss, shape, bound, complaints)
        case nn.BCEWithLogitsLoss():
            return _binary_cross_entropy(loss, shape, complaints)
        case nn.HuberLoss():
            return replace(shape, delta=float(loss.delta))
        case nn.SmoothL1Loss():
            beta = float(loss.beta)
            return replace(shape, delta=1.0, curvature_factor=1 / beta if beta else math.inf)
    return shape


def _cross_entropy(
    loss: nn.CrossEntropyLoss, shape: LossShape, bound: str, complaints: Complaints
) -> LossShape:
    if loss.ignore_index != IGNORED:
        complaints.add(
            "loss",
            loss,
            f"leaves out rows of label {loss.ignore_index}, which the last layer's inputs do not show",
            IGNORED_REMEDY,
        )
    smoothing = float(loss.label_smoothing)
    weight = None if loss.weight is None else loss.weight.detach().cpu().double()
    if weight is not None and float(weight.min()) <= 0 and not (shape.summed and float(weight.min()) == 0):
        complaints.add(
            "loss",
            loss,
            "has a class of weight 0 or less, whose rows do not count",
            "Leave these rows out before the last layer, or use a small positive weight.",
        )
        return shape
    if bound == "paper" and (smoothing or (weight is not None and not shape.summed)):
        what = "smoothed labels" if smoothing else "averaged class weights"
        complaints.add(
            "loss",
            loss,
            f"has {what}, for which the paper has no constant",
            "Use bound='valid', which has one; or give loss='cross-entropy' for the constant without them.",
        )
    if weight is None:
        weight = torch.ones(shape.outputs, dtype=torch.float64)
    paper, slope, curvature = _row_factors(weight, smoothing, summed=shape.summed)
    return replace(shape, paper_factor=paper, slope_factor=slope, curvature_factor=curvature)


def _row_factors(w: Tensor, smoothing: float, *, summed: bool) -> tuple[float, float, float]:
    """Return the factors of class weights and smoothed labels: on the paper's constant, slope, curvature."""
    k, total = len(w), float(w.sum())
    alpha = (1 - smoothing) * w + smoothing / k * total  # by y
    beta = (1 - smoothing) * w
    gamma = smoothing / k
    others = torch.full_like(w, math.inf)  # by y: the smallest weight of another class
    if k > 1:
        ordered, order = torch.sort(w)
        others = torch.where(torch.arange(k) == order[0], ordered[1], ordered[0])
    squares = alpha**2 + beta**2 + gamma**2 * (w @ w) - 2 * alpha * gamma * others + 2 * beta * gamma * w
    rows = squares.clamp_min(0).sqrt()
    if summed:
        return float(w.max()), float(rows.max()) / math.sqrt(2), float(alpha.max())
    a, b = float(w.min()), float(w.max())
    slope = float((rows / w).max()) / math.sqrt(2) * (a + b) / (2 * math.sqrt(a * b))
    return 1.0, slope, float(alpha.max()) / a


def _binary_cross_entropy(loss: nn.BCEWithLogitsLoss, shape: LossShape, complaints: Complaints) -> LossShape:
    slopes = torch.ones((), dtype=torch.float64)
    for weight, least in ((loss.pos_weight, 1.0), (loss.weight, 0.0)):
        if weight is None:
            continue
        weight = weight.detach().cpu().double()
        if not bool((weight >= 0).all()):
            complaints.add("loss", loss, "has a negative weight", "Use weights of at least 0.")
        # Of any other shape than one number per output: the largest, which bounds them all.
        per_output = weight.dim() == 1 and len(weight) == shape.outputs
        slopes = slopes * (weight if per_output else weight.max()).clamp_min(least)
    largest = float(slopes.max())
    return replace(
        shape,
        paper_factor=largest,
        slope_factor=float(slopes.square().mean().sqrt()),
        curvature_factor=largest,
    )
