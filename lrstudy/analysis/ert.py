"""Expected running time to a target (COCO's ERT)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def ert(spent: ArrayLike, hits: ArrayLike) -> float | None:
    """Expected running time: time spent by all runs over hits (Hansen et al. 2021, COCO, eq. 1).

    It is the expected time until the first hit when a run that misses is followed by another one.

    Args:
        spent: shape (n,), what each run really spent: its hit time, or all it ran for a miss.
        hits: shape (n,), whether each run hit; or the number of hits.

    Returns:
        The ERT in the unit of ``spent``; None when no run hit (it is infinite).

    Raises:
        ValueError: when a time is negative or not finite, or the hits do not fit the runs.

    >>> ert([10, 20, 30], [True, True, False])
    30.0
    """
    time = np.asarray(spent, dtype=float).ravel()
    hit = np.asarray(hits)
    if not np.isfinite(time).all() or (time < 0).any():
        raise ValueError("time spent must be finite and not negative")
    if hit.ndim and hit.shape != time.shape:
        raise ValueError(f"{time.size} runs but {hit.size} hits")
    count = int(hit.sum())
    if not 0 <= count <= time.size:
        raise ValueError(f"{count} hits of {time.size} runs")
    return None if count == 0 else math.fsum(time) / count
