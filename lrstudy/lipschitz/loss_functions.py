"""The losses as functions of outputs and targets, by the names that have a constant, and as objectives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from torch import Tensor, nn
from torch.nn import functional

from lrstudy.lipschitz.head_candidates import refusal
from lrstudy.lipschitz.measure import split_batch
from lrstudy.lipschitz.trace import main_output

LossFunction = Callable[..., Tensor]


def clipped_cross_entropy(outputs: Tensor, targets: Tensor, epsilon: float = 1e-7) -> Tensor:
    """Keras's cross-entropy: −log of the true class's probability, clamped to [ε, 1 − ε].

    Where the clamp acts the gradient is zero, so a confidently wrong row teaches nothing.
    """
    chosen = functional.softmax(outputs, dim=1).gather(1, targets.unsqueeze(1))
    return -chosen.clamp(epsilon, 1 - epsilon).log().mean()


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sigmoid cross-entropy, averaged over the outputs.

    Targets are numbers of the outputs' shape, or class numbers: a single output means class 1, several one
    class each.
    """
    if targets.shape == outputs.shape:
        wanted = targets
    elif outputs.shape[1] == 1:
        wanted = targets.unsqueeze(1)
    else:
        wanted = functional.one_hot(targets, outputs.shape[1])
    return functional.binary_cross_entropy_with_logits(outputs, wanted.to(outputs.dtype))


def least_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """E = ‖a − y‖²/(2m)."""
    return (outputs - targets).square().sum() / (2 * len(targets))


def quantile_loss(outputs: Tensor, targets: Tensor, tau: float) -> Tensor:
    """The pinball loss: τ·r where the residual r = y − a is positive, (τ − 1)·r where it is negative."""
    residual = targets - outputs
    return (residual * tau).maximum(residual * (tau - 1)).mean()


FUNCTIONS: Final[Mapping[str, LossFunction]] = MappingProxyType(
    {
        "cross-entropy": functional.cross_entropy,
        "clipped-cross-entropy": clipped_cross_entropy,
        "binary-cross-entropy": binary_cross_entropy,
        "least-squares": least_squares,
        "mse": functional.mse_loss,
        "mae": functional.l1_loss,
        "quantile": quantile_loss,
        "huber": functional.huber_loss,
    }
)


def as_rows(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs (rows, classes) and targets (rows,): each position of a sequence is a row.

    Sequences have outputs (batch, time, classes) and class numbers (batch, time).
    """
    if targets.is_floating_point() or targets.dim() < 2 or outputs.dim() != targets.dim() + 1:
        return outputs, targets
    return outputs.flatten(0, -2), targets.flatten()


@dataclass(frozen=True, slots=True)
class NamedObjective:
    """The loss of a batch that is an (input, target) pair of tensors: an ``Objective``.

    The outputs are the tensor by which the last linear layer is recognised; each position of a sequence is a
    row.
    """

    model: nn.Module
    function: LossFunction

    @classmethod
    def of(cls, loss: str | nn.Module, model: nn.Module, tau: float, delta: float) -> NamedObjective:
        """Return the objective of a loss given by name or as a module of outputs and targets."""
        if isinstance(loss, nn.Module):
            return cls(model, loss)
        options = {"quantile": {"tau": tau}, "huber": {"delta": delta}}.get(loss, {})
        return cls(model, partial(FUNCTIONS[loss], **options))

    def __call__(self, call: Callable[..., Any], batch: Any) -> Tensor:
        """Return the loss, with the model's weights as ``call`` has them."""
        inputs, targets = split_batch(batch)
        if targets is None:
            raise refusal(
                "batches", None, "hold no targets, which the loss needs", "Give (input, target) pairs."
            )
        device = next(self.model.parameters()).device
        outputs = main_output(self.model, call(inputs.to(device)))
        return self.function(*as_rows(outputs, targets.to(device)))
