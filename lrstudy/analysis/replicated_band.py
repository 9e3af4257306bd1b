"""The speedup over replicates at every level of the metric, with a simultaneous band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrstudy.analysis.bands import Band, half_width
from lrstudy.analysis.replicates import Replicates
from lrstudy.analysis.resampling import bootstrap_weights


def replicated_band(tables: Sequence[Replicates], seed: int, *, confidence: float = 0.95) -> Band:
    """Return the speedup over replicates at every level with a bootstrap sup-t band, as ``levels_band``.

    ``tables`` hold the times of the reference and of one schedule to each level; a time that is the same
    with its hit as early as it may have been is a miss.
    """
    logs = np.stack([table.logs for table in tables])
    both = np.isfinite(logs).all(axis=(0, 1))
    r, s = logs[:, 0, both].T, logs[:, 1, both].T
    early_r, early_s = np.stack([table.early for table in tables])[:, :, both].transpose(1, 2, 0)
    n, levels = r.shape
    unknown = np.full(levels, np.nan)
    if n == 0:
        return Band(unknown, unknown, unknown)
    moves = r - s
    effect = moves.mean(axis=0)
    if n == 1:
        return Band(np.exp(effect), unknown, unknown)
    error = moves.std(axis=0, ddof=1) / np.sqrt(n)
    half = half_width(bootstrap_weights(n, seed) @ moves - effect, error, n, confidence)
    # As in replicated_speedup: both schedules' hits may have happened earlier, by up to one evaluation.
    shifted = (early_r - early_s).mean(axis=0)
    low, high = np.minimum(effect - half, shifted), np.maximum(effect + half, shifted)
    nobody = ((early_r == r) & (early_s == s)).all(axis=0)
    limits = (np.where(nobody, np.nan, np.exp(limit)) for limit in (low, high))
    return Band(np.exp(effect), *limits)
