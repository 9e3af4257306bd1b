"""Performance profiles over tasks (AlgoPerf, after Dolan and Moré 2002)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

R_MAX = 4.0  # AlgoPerf's upper limit of the time ratio


@dataclass(frozen=True, slots=True)
class Profiles:
    """Performance profiles of m methods over k tasks.

    Attributes:
        tau: shape (g,), time ratios from 1 to r_max: every ratio where a profile steps, and both ends.
        rho: shape (m, g), the fraction of tasks that a method solves within ``tau`` times the best time.
        score: shape (m,), the normalised integral of rho over [1, r_max], in [0, 1].
        ratio: shape (k, m), time over the task's best time; infinite for a miss.
    """

    tau: NDArray[np.float64]
    rho: NDArray[np.float64]
    score: NDArray[np.float64]
    ratio: NDArray[np.float64]


def performance_profiles(
    times: ArrayLike, r_max: float = R_MAX, *, took_part: ArrayLike | None = None
) -> Profiles:
    """Performance profiles and AlgoPerf's score (Dahl et al. 2023, section 4.1).

    rho_s(tau) = |{task: t_s / min_s' t_s' <= tau}| / k and B_s = 1/(r_max - 1) * integral over [1, r_max]
    of rho_s. The integral of a step function is computed exactly, not on a grid.

    Args:
        times: shape (tasks k, methods m), times to target, positive; infinity or NaN is a miss. A task
            without a solver counts as unsolved for all.
        r_max: upper end of the time ratio, above 1.
        took_part: shape (k, m), which methods ran which tasks: a method's rho and score are then over the
            tasks that it ran (NaN for none), for not to have tried is no miss. All ran all unless given.

    Raises:
        ValueError: for a time that is not positive, a wrong shape or r_max at most 1.
    """
    t = np.asarray(times, dtype=float)
    if t.ndim != 2 or not t.size:
        raise ValueError(f"times needs shape (tasks, methods) with at least one of each, got {t.shape}")
    if (t <= 0).any():
        raise ValueError("times to target must be positive")
    if r_max <= 1:
        raise ValueError(f"r_max must be above 1, got {r_max}")
    t = np.where(np.isnan(t), np.inf, t)
    best = t.min(axis=1, keepdims=True)
    # A miss over a miss is no number: the task is unsolved, so its ratio is infinite for all.
    ratio = np.where(np.isfinite(t), t / np.where(np.isfinite(best), best, 1.0), np.inf)
    steps = ratio[ratio <= r_max]
    tau = np.unique(np.concatenate([[1.0, r_max], steps]))
    ran = np.ones(t.shape, bool) if took_part is None else np.asarray(took_part, dtype=bool)
    solved = np.where(ran.T[:, :, None], ratio.T[:, :, None] <= tau, np.nan)
    # Divided before the mean: a method that is best everywhere scores 1, not 1 + 2e-16.
    scores = np.where(ran, np.clip(r_max - ratio, 0.0, None) / (r_max - 1), np.nan)
    some = ran.any(axis=0)
    rho, score = np.full((t.shape[1], tau.size), np.nan), np.full(t.shape[1], np.nan)
    rho[some], score[some] = np.nanmean(solved[some], axis=1), np.nanmean(scores[:, some], axis=0)
    return Profiles(tau, rho, score, ratio)
