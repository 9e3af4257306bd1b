"""Data as a loader gives it, before it is split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a data set. ``inputs``: uint8, float32 or float64 (rows, …); ``targets``: int64 or floating."""

    inputs: NDArray[Any]
    targets: NDArray[Any]


@dataclass(frozen=True, slots=True)
class RawData:
    """A data set: with its own test (and validation) rows where it has them. See ``TaskData``."""

    train: Split
    classes: int | None
    image: bool
    test: Split | None = None
    validation: Split | None = None
    full_scale: float | None = None


def classification(inputs: NDArray[Any], targets: NDArray[Any]) -> Split:
    """Rows with class numbers."""
    return Split(np.ascontiguousarray(inputs), np.ascontiguousarray(targets, dtype=np.int64))


def regression(inputs: NDArray[Any], targets: NDArray[Any]) -> Split:
    """Rows with numbers as targets, (rows,) or (rows, outputs)."""
    columns = np.asarray(targets, dtype=np.float32).reshape(len(targets), -1)
    return Split(np.ascontiguousarray(inputs, dtype=np.float32), np.ascontiguousarray(columns))
