"""The comparison of fingerprints of models: numbers that processors round differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_TOLERANCE: Final = 1e-3


def models_agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True if two fingerprints of models are the same but for rounding."""
    return one.keys() == other.keys() and all(_agree(one[part], other[part]) for part in one)


def _agree(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    largest = max((abs(value) for value in [*one, *other] if value is not None), default=0.0)
    return len(one) == len(other) and all(
        a is b if a is None or b is None else abs(a - b) <= _TOLERANCE * largest
        for a, b in zip(one, other, strict=True)
    )
