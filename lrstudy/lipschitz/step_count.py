"""Sums over the micro-batches of one optimizer step: the batch that the formulas speak of.

Micro-batches j = 1…k with A_j of m_j rows make one batch A of M = Σm_j rows: ‖A‖² = Σ‖A_j‖². The loss of the
step is taken for their mean, E = (1/k)ΣE_j (or, rows counting alike, Σ(m_j/M)E_j, which is the same where
all m_j are equal). The gradient in the outputs of a row of micro-batch j then has a factor 1/(k·m_j) instead
of 1/M, so that a bound that must hold takes the root mean square of ‖A_j‖/√m_j where that is the larger.

A step of one micro-batch has the norms of that batch itself, to the same bits as a loop in which each pass is
known to be a step. λ_max is taken of the sums in any case: a second power iteration would cost too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from lrstudy.lipschitz.norms import QUANTITIES, spectral_gram_norm, wide

# The last is a maximum over the micro-batches, the others are sums: ‖A‖², ‖A‖²/m, ‖A∘A‖², ‖a‖², ‖a‖²/m, m, 1.
KZ2, KZ2_PER_ROW, SQUARES2, KA2, KA2_PER_ROW, ROWS, CALLS, INVERSE_ROWS = range(8)
SIZE: Final = 8
NEEDS_GRAM: Final = frozenset({"spectral", "mean_spectral"})


def part_of(names: Sequence[str], A: Tensor, outputs: Tensor, *, norms: bool = False) -> Tensor:
    """Return the sums of one micro-batch, (SIZE,); what the named quantities do not need stays 0.

    With ``norms``, they are followed by those that the batch has as a step by itself, (size_with_norms,).
    """
    rows, dtype = A.shape[0], accumulator(A)
    zero = torch.zeros((), device=A.device, dtype=dtype)
    ones = torch.full((), 1.0, device=A.device, dtype=dtype)
    kz2 = _squares(A, dtype)
    squares2 = _squares(A.to(wide(A)).square(), dtype) if "squares" in names else zero
    ka2 = _squares(outputs, dtype) if {"ka", "rms_ka"} & set(names) else zero
    alone = [QUANTITIES[name](A, outputs).to(dtype) for name in _exact(names)] if norms else []
    return torch.stack(
        [
            kz2,
            kz2 / rows if "rms_kz" in names else zero,
            squares2,
            ka2,
            ka2 / rows if "rms_ka" in names else zero,
            ones * rows,
            ones,
            ones / rows,
            *alone,
        ]
    )


def size_with_norms(names: Sequence[str]) -> int:
    """Return the number of sums and of norms that may follow them."""
    return SIZE + len(_exact(names))


def _exact(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in NEEDS_GRAM]


def _squares(A: Tensor, dtype: torch.dtype) -> Tensor:
    # Row by row, so that it does not matter how the rows are divided into micro-batches.
    rows: Tensor = torch.linalg.vector_norm(A, dim=-1, dtype=wide(A))
    return rows.to(dtype).square().sum()


def grams_of(A: Tensor) -> Tensor:
    """Return AᵀA and AᵀA/m of a micro-batch, (2, h, h)."""
    A = A.to(wide(A))
    gram = A.mT @ A
    return torch.stack([gram, gram / A.shape[0]])


def together(parts: Tensor) -> Tensor:
    """Return the sums of several micro-batches or ranks as one's. (parts, …, SIZE) → (…, SIZE)."""
    found = parts.sum(0)
    found[..., INVERSE_ROWS] = parts[..., INVERSE_ROWS].amax(0)
    return found


def step_quantities(names: Sequence[str], sums: Tensor, grams: Tensor | None) -> Tensor:
    """Return the named quantities of steps with these sums, 0 without rows. (…, SIZE) → (…, len(names)).

    Where norms follow the sums, a step of one micro-batch has those.
    """
    if not names:
        return sums.new_zeros(*sums.shape[:-1], 0)
    rows, calls = sums[..., ROWS].clamp_min(1), sums[..., CALLS].clamp_min(1)
    values = {
        "kz": lambda: sums[..., KZ2].sqrt(),
        "squares": lambda: sums[..., SQUARES2].sqrt(),
        "ka": lambda: sums[..., KA2].sqrt(),
        "rms_kz": lambda: _larger_root(sums, KZ2, KZ2_PER_ROW, rows, calls),
        "rms_ka": lambda: _larger_root(sums, KA2, KA2_PER_ROW, rows, calls),
        "spectral": lambda: spectral_gram_norm(_known(grams)[0]),
        "mean_spectral": lambda: torch.maximum(
            spectral_gram_norm(_known(grams)[0]) / rows, spectral_gram_norm(_known(grams)[1]) / calls
        ),
        "inverse_root_rows": lambda: (sums[..., INVERSE_ROWS] / calls).sqrt(),
    }
    found = {name: values[name]().to(sums.dtype) for name in names}
    if sums.shape[-1] > SIZE:
        one_pass = sums[..., CALLS] == 1
        for name, norm in zip(_exact(names), sums[..., SIZE:].unbind(-1), strict=True):
            found[name] = torch.where(one_pass, norm, found[name])
    return torch.stack([found[name] for name in names], dim=-1)


def accumulator(tensor: Tensor) -> torch.dtype:
    """Return the dtype of sums over micro-batches: float64, where the device has it."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def _larger_root(sums: Tensor, whole: int, per_row: int, rows: Tensor, calls: Tensor) -> Tensor:
    return torch.maximum(sums[..., whole] / rows, sums[..., per_row] / calls).sqrt()


def _known(grams: Tensor | None) -> Tensor:
    assert grams is not None
    return grams
