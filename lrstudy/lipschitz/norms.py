"""Norms of a batch's activations and outputs, and of the weights: what L is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

POWER_ITERATIONS: Final = 50


def activation_norm(A: Tensor) -> Tensor:
    """Return ‖A‖_F of a batch, whose maximum over the batches is Kz. A: (…, m, h) → (…); at least float32."""
    norm: Tensor = torch.linalg.vector_norm(A, dim=(-2, -1), dtype=wide(A))
    return norm


def squared_activation_norm(A: Tensor) -> Tensor:
    """Return ‖A∘A‖_F of a batch, whose maximum over batches is S. A: (…, m, h) → (…); at least float32."""
    norm: Tensor = torch.linalg.vector_norm(A.to(wide(A)).square(), dim=(-2, -1))
    return norm


def spectral_activation_norm(A: Tensor, iterations: int = POWER_ITERATIONS) -> Tensor:
    """Return λ_max(AᵀA) of a batch by power iteration. A: (…, m, h) → (…); at least float32.

    The number of iterations is fixed, for a test of convergence would synchronise; the Rayleigh quotient
    approaches λ_max from below.
    """
    A = A.to(wide(A))
    v = _start_vector(A)
    for _ in range(iterations):
        v = _normalised(A.mT @ (A @ v))
    return (A @ v).square().sum(dim=(-2, -1))


def spectral_gram_norm(gram: Tensor, iterations: int = POWER_ITERATIONS) -> Tensor:
    """Return λ_max of G = AᵀA by the same power iteration, for an A added up in parts. (h, h) → ()."""
    v = _start_vector(gram)
    for _ in range(iterations):
        v = _normalised(gram @ v)
    found: Tensor = (v * (gram @ v)).sum()
    return found


def _start_vector(like: Tensor) -> Tensor:
    # Not a constant vector and not orthogonal to one: rectified activations have a positive top vector.
    v = 1 + 0.5 * torch.cos(torch.arange(like.shape[-1], device=like.device, dtype=like.dtype))
    return v.expand(*like.shape[:-2], -1).unsqueeze(-1)


def _normalised(v: Tensor) -> Tensor:
    # A batch of zeros has λ_max = 0, not 0/0.
    length: Tensor = torch.linalg.vector_norm(v, dim=-2, keepdim=True)
    return v / length.clamp_min(torch.finfo(v.dtype).tiny)


def output_norm(outputs: Tensor) -> Tensor:
    """Return ‖a‖ of a batch's outputs, whose maximum is Ka, or ‖y‖ of its targets. (…, m, n) → (…)."""
    return activation_norm(outputs)


def weight_norm(model: nn.Module, norms: str = "parameters") -> Tensor:
    """Return w̄, the largest ‖W‖_F over the trainable parameter tensors; a scalar tensor, 0 if there are none.

    ``norms="all"`` counts frozen parameters and floating-point buffers (batch-norm's running statistics)
    too, as the authors' code does: Keras's ``model.weights`` holds them.
    """
    everything = norms == "all"
    tensors: list[Tensor] = [p for p in model.parameters() if p.requires_grad or everything]
    if everything:
        tensors += [b for b in model.buffers() if b.is_floating_point()]
    if not tensors:
        return torch.zeros(())
    device = tensors[0].device
    sizes = [torch.linalg.vector_norm(t.detach(), dtype=wide(t)).to(device) for t in tensors]
    return torch.stack(sizes).max()


QUANTITIES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "kz": lambda A, _: activation_norm(A),
    "squares": lambda A, _: squared_activation_norm(A),
    "spectral": lambda A, _: spectral_activation_norm(A),
    "ka": lambda _, outputs: output_norm(outputs),
    "rms_kz": lambda A, _: activation_norm(A) / math.sqrt(A.shape[-2]),
    "rms_ka": lambda _, outputs: output_norm(outputs) / math.sqrt(outputs.shape[-2]),
    "mean_spectral": lambda A, _: spectral_activation_norm(A) / A.shape[-2],
    "inverse_root_rows": lambda A, _: activation_norm(A).new_full(A.shape[:-2], A.shape[-2] ** -0.5),
}


def batch_quantities(names: Sequence[str], A: Tensor, outputs: Tensor) -> Tensor:
    """Return the named norms of one batch. A: (…, m, h), outputs: (…, m, n) → (…, len(names)).

    Names: kz, squares, spectral, ka; and, for bounds that must hold for short batches too, rms_kz
    (‖A‖_F/√m), rms_ka, mean_spectral (λ_max/m) and inverse_root_rows (1/√m). Leading dimensions are lanes
    of a stacked model.
    """
    found: Tensor = torch.stack([QUANTITIES[name](A, outputs) for name in names], dim=-1)
    return found


def wide(tensor: Tensor) -> torch.dtype:
    """Return the dtype for norms of a tensor: float32 for half precision, whose squares overflow float16."""
    return torch.promote_types(tensor.dtype, torch.float32)
