"""How much faster than the reference: ratio of restricted means, and of ERTs, over paired seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrstudy.analysis.bands import Band, levels_band
from lrstudy.analysis.intervals import t_quantile
from lrstudy.analysis.resampling import bootstrap_weights, expanded_tail, sign_flip_p

__all__ = ["Band", "Speedup", "ert_ratio", "levels_band", "paired_speedup", "paired_variation"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Speedup:
    """Reference time over schedule time: above 1 the schedule is faster.

    Attributes:
        ratio: the estimate; None without a pair (or, of ERTs, when the schedule never hits).
        low, high: confidence limits; None where the data give none, ``note`` says why.
        p_value: two-sided sign-flip test of equal restricted means; None where there is none.
        pairs: seeds that both schedules ran.
        note: what a reader must know, as a sentence; empty when nothing is special.
    """

    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    pairs: int
    note: str = ""


def paired_variation(reference: ArrayLike, schedule: ArrayLike) -> float | None:
    """Standard deviation of r_i / mean(r) - s_i / mean(s), shape (n,) each; None with fewer than 2 pairs.

    The coefficient of variation that decides how many seeds a comparison needs: over sqrt(n) it is the
    standard error of the log speedup (delta method).
    """
    r, s = np.asarray(reference, dtype=float), np.asarray(schedule, dtype=float)
    return float((r / r.mean() - s / s.mean()).std(ddof=1)) if r.size > 1 else None


def paired_speedup(
    reference: ArrayLike,
    schedule: ArrayLike,
    *,
    horizon: float,
    resolution: float,
    reference_hits: ArrayLike,
    schedule_hits: ArrayLike,
    seed: int,
    confidence: float = 0.95,
) -> Speedup:
    """Ratio of restricted mean times with a seed-paired interval and a sign-flip test.

    The interval is the hull of a delta-method t-interval of the log ratio and of a paired bootstrap interval
    read at expanded levels. It is never narrower than one evaluation: a hit seen at e may have happened just
    after e - resolution, so the limits reach at least mean(r - resolution * hit) / mean(s) and
    mean(r) / mean(s - resolution * hit). When neither hit in any run there is no interval.

    Args:
        reference, schedule: shape (n,), restricted times min(T, horizon), paired by index (same seed).
        horizon: the largest time, in the unit of the times.
        resolution: time between evaluations: a hit seen at e happened in (e - resolution, e].
        reference_hits, schedule_hits: shape (n,), whether the run hit.
        seed: of the bootstrap and, above 12 pairs, of the test.

    Raises:
        ValueError: for shapes that differ, or times outside (0, horizon].
    """
    r, s = _times(reference, horizon), _times(schedule, horizon)
    r_hit, s_hit = np.asarray(reference_hits, dtype=bool), np.asarray(schedule_hits, dtype=bool)
    if not r.shape == s.shape == r_hit.shape == s_hit.shape:
        raise ValueError("reference, schedule and their hits must be paired by seed")
    n = r.size
    if n == 0:
        return Speedup(None, None, None, None, 0, "No seed was run by both schedules.")
    ratio = float(r.mean() / s.mean())
    if n == 1:
        return Speedup(ratio, None, None, None, 1, "One seed gives no interval.")
    p_value = sign_flip_p(r - s, seed)
    if not (r_hit.any() or s_hit.any()):
        note = "No run of either schedule reached the target: nothing is known about the speedup."
        return Speedup(ratio, None, None, p_value, n, note)
    low, high = _interval(r, s, seed, confidence)
    # However alike the runs: a hit is known to one evaluation, so the ratio is known no better than that.
    floor_low = float((r - resolution * r_hit).mean() / s.mean())
    floor_high = float(r.mean() / max((s - resolution * s_hit).mean(), 1e-12 * horizon))
    note = ""
    if floor_low < low or floor_high > high:
        note = "Widened to the time between two evaluations: the runs vary by less."
    return Speedup(ratio, min(low, floor_low), max(high, floor_high), p_value, n, note)


def _times(values: ArrayLike, horizon: float) -> Array:
    t = np.asarray(values, dtype=float)
    if t.ndim != 1 or not np.isfinite(t).all() or (t <= 0).any() or (t > horizon * (1 + 1e-9)).any():
        raise ValueError("restricted times must be one-dimensional and lie in (0, horizon]")
    return t


def _interval(r: Array, s: Array, seed: int, confidence: float) -> tuple[float, float]:
    """Limits of mean(r) / mean(s): the hull of a delta-method t-interval and an expanded bootstrap interval.

    Each fails where the other holds: with whole epochs, a pile of runs at the horizon and 5 seeds the
    bootstrap has too few distinct resamples and is short, and the t-interval ignores that times are skewed.
    The calibration bench (tests/bench/calibration.py) shows what the hull covers.
    """
    n = r.size
    log_ratio = math.log(r.mean() / s.mean())
    # Delta method: log(mean r / mean s) moves by mean(r_i / mean r - s_i / mean s).
    half = t_quantile(0.5 + confidence / 2, n - 1) * (paired_variation(r, s) or 0.0) / math.sqrt(n)
    weights = bootstrap_weights(n, seed)
    resampled = np.log((weights @ r) / (weights @ s))
    tail = expanded_tail(n, confidence)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return math.exp(min(log_ratio - half, float(low))), math.exp(max(log_ratio + half, float(high)))


def ert_ratio(
    reference_spent: ArrayLike,
    reference_hits: ArrayLike,
    schedule_spent: ArrayLike,
    schedule_hits: ArrayLike,
    *,
    seed: int,
    confidence: float = 0.95,
) -> Speedup:
    """Ratio of ERTs, reference over schedule, with an expanded percentile interval over paired seeds.

    A resample without a hit has an infinite ERT, and its ratio is 0 or infinite; a limit that falls there
    is open: 0 below, None above. No test comes with it (``p_value`` is None).

    Args:
        reference_spent, schedule_spent: shape (n,), time spent by each run, hit or not, paired by seed.
        reference_hits, schedule_hits: shape (n,).
        seed: of the bootstrap.
    """
    r, s = np.asarray(reference_spent, dtype=float), np.asarray(schedule_spent, dtype=float)
    r_hit, s_hit = np.asarray(reference_hits, dtype=bool), np.asarray(schedule_hits, dtype=bool)
    if not r.shape == s.shape == r_hit.shape == s_hit.shape:
        raise ValueError("reference, schedule and their hits must be paired by seed")
    n = r.size
    if n == 0:
        return Speedup(None, None, None, None, 0, "No seed was run by both schedules.")
    if not r_hit.any() or not s_hit.any():
        who = "the reference" if s_hit.any() else "the schedule"
        return Speedup(None, None, None, None, n, f"No run of {who} reached the target: its ERT is infinite.")
    ratio = float(r.sum() / r_hit.sum() / (s.sum() / s_hit.sum()))
    if n == 1:
        return Speedup(ratio, None, None, None, 1, "One seed gives no interval.")
    weights = bootstrap_weights(n, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Hits multiplied crosswise: no hit of the reference is inf, none of the schedule 0, neither NaN.
        ratios = ((weights @ r) * (weights @ s_hit)) / ((weights @ s) * (weights @ r_hit))
    tail = expanded_tail(n, confidence)
    low, high = np.quantile(ratios[~np.isnan(ratios)], [tail, 1 - tail], method="inverted_cdf")
    note = "" if math.isfinite(high) else "So few hits leave the ratio without an upper limit."
    return Speedup(ratio, float(low), float(high) if math.isfinite(high) else None, None, n, note)
