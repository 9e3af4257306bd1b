"""An independent twin of ``LipschitzLR``'s plain rate, in numpy float64, for loops of any shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Step = Sequence[Matrix]


def paper_rate(steps: Sequence[Step], classes: int) -> float:
    """1/L of cross-entropy, L = (k − 1)/(k·m)·Kz, a step being the rows of all its micro-batches."""
    whole = [np.concatenate(list(step)) for step in steps]
    kz = max(math.sqrt(float((A**2).sum())) for A in whole)
    m = max(len(A) for A in whole)
    return classes * m / ((classes - 1) * kz)
