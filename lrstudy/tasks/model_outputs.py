"""The outputs of a model that returns more than a tensor, and the form of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def logits_of(outputs: Any) -> Any:
    """Return the ``logits`` of a mapping or of an object that has them; anything else as it is."""
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping) and "logits" in outputs:
        return outputs["logits"]
    return getattr(outputs, "logits", outputs)


def as_rows(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs (rows, classes) and targets (rows,): each position of a sequence is a row.

    Sequences have outputs (batch, time, classes) and class numbers (batch, time).
    """
    if targets.is_floating_point() or targets.dim() < 2 or outputs.dim() != targets.dim() + 1:
        return outputs, targets
    return outputs.flatten(0, -2), targets.flatten()
