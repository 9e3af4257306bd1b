"""Speedup over the reference: ratio of restricted means, and of ERTs, over paired seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrstudy.analysis.bands import Band, earliest, levels_band
from lrstudy.analysis.intervals import t_quantile, t_two_sided
from lrstudy.analysis.resampling import TIE, bootstrap_weights, expanded_tail, sign_flip_p

__all__ = ["Band", "Speedup", "ert_ratio", "levels_band", "paired_speedup", "paired_variation"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Limits = tuple[float, float]

_PSEUDO_PAIRS = 2.0
_NEARER = 0.7


@dataclass(frozen=True, slots=True)
class Speedup:
    """Reference time over schedule time: above 1 the schedule is faster.

    Over seeds, or over replicates of the study, which hold the luck of the tuning.

    Attributes:
        ratio: the estimate; None without a pair (or, of ERTs, when the schedule never hits).
        low, high: confidence limits; None where the data give none, ``note`` says why.
        p_value: two-sided, of equal restricted means (``_p_value``); None where there is none.
        pairs: seeds, or replicates, that both schedules ran.
        note: what a reader must know, as a sentence; empty when nothing is special.
        tuning_variance: of the log ratio, over tunings with the same budget; 0 where nothing was searched.
        tuned_low, tuned_high, tuning_p: the same when the tuning, too, might have ended otherwise
            (``tuning_luck.with_tuning``); None where nothing was searched.
        equivalence_p: of a difference beyond the margin (``replicates.equivalence_p``); None over seeds.
    """

    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    pairs: int
    note: str = ""
    tuning_variance: float = 0.0
    tuned_low: float | None = None
    tuned_high: float | None = None
    tuning_p: float | None = None
    equivalence_p: float | None = None

    @property
    def over_tunings(self) -> Speedup:
        """The same with the interval over tunings, and the larger p of both tests: a verdict needs both."""
        if self.tuned_low is None:
            return self
        known = [p for p in (self.p_value, self.tuning_p) if p is not None]
        p_value = max(known) if self.p_value is not None else None
        return replace(self, low=self.tuned_low, high=self.tuned_high, p_value=p_value)


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
    """Ratio of restricted mean times with a seed-paired interval and test.

    The interval joins a delta-method t-interval of the log ratio and a paired bootstrap interval read at
    expanded levels (``_interval``). It is never narrower than one evaluation: a hit seen at e may have
    happened just after e - resolution, so the limits reach at least to the ratio with all hits of the one,
    or of the other, that early (``bands.earliest``). When neither hit in any run there is no interval.

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
    p_value = _p_value(r, s, seed)
    if not (r_hit.any() or s_hit.any()):
        note = "No run of either schedule reached the target: the speedup is unknown."
        return Speedup(ratio, None, None, p_value, n, note)
    low, high = _interval(r, s, ~(r_hit | s_hit), horizon, seed, confidence)
    # However alike the runs: a hit is known to one evaluation, so the ratio is known no better than that.
    floor_low = float(earliest(r, r_hit, resolution).mean() / s.mean())
    floor_high = float(r.mean() / earliest(s, s_hit, resolution).mean())
    note = ""
    if floor_low < low or floor_high > high:
        note = "Interval widened to the time between two evaluations: the runs vary by less."
    return Speedup(ratio, min(low, floor_low), max(high, floor_high), p_value, n, note)


def _p_value(r: Array, s: Array, seed: int) -> float:
    """The larger p of a sign-flip test and of the delta-method t-test of the log ratio.

    The sign-flip test is exact for any distribution when each difference is as likely as its opposite. Where
    one schedule's times vary far more than the other's they are not, although the means may be equal. The
    t-test then has to agree: that makes false verdicts rarer, but not as rare as the level says
    (tests/bench/calibration.md, unequal spreads).
    """
    flip = sign_flip_p(r - s, seed)
    error = (paired_variation(r, s) or 0.0) / math.sqrt(r.size)
    # No spread at all in the pairs is no evidence that t could weigh; the sign flips can.
    if error <= TIE:
        return flip
    # A difference of logs, not a log of the ratio: exactly as large when the two change roles.
    return max(flip, t_two_sided((math.log(r.mean()) - math.log(s.mean())) / error, r.size - 1))


def _times(values: ArrayLike, horizon: float) -> Array:
    t = np.asarray(values, dtype=float)
    if t.ndim != 1 or not np.isfinite(t).all() or (t <= 0).any() or (t > horizon * (1 + 1e-9)).any():
        raise ValueError("restricted times must be one-dimensional and in (0, horizon]")
    return t


def _interval(r: Array, s: Array, missed: Flags, horizon: float, seed: int, confidence: float) -> Limits:
    """Limits of the log ratio of means from a delta-method t and an expanded bootstrap interval.

    Each fails where the other holds: with 5 seeds the bootstrap has few distinct resamples and is short; the
    t-interval ignores skew, and pairs that both ``missed`` (a difference of 0 that is a lack of knowledge)
    mislead it. So the further of the two limits counts, with two changes for the missed pairs, both found
    by calibration (tests/bench/calibration.py) and both nothing where every pair has a hit:

    - away from 1 the spread counts two further pairs of either kind (times the share of missed pairs) in
      which only one hit, as far below the horizon as the hits seen: else a study with few hits by chance
      seems to show that there is no large effect;
    - towards 1 the limits are averaged (0.3 the further, 0.7 the nearer): a few differences among zeros
      cannot exceed Student's quantile, however large they are, and t alone would cover 99%.
    """
    n = r.size
    centre = math.log(r.mean() / s.mean())
    quantile = t_quantile(0.5 + confidence / 2, n - 1) / math.sqrt(n)
    # Delta method: log(mean r / mean s) moves by mean(r_i / mean r - s_i / mean s).
    variance = (paired_variation(r, s) or 0.0) ** 2
    depth = _mean_depth(np.concatenate([r, s]), horizon)
    unseen = missed.mean() * ((depth / r.mean()) ** 2 + (depth / s.mean()) ** 2) * _PSEUDO_PAIRS / (n - 1)
    half, half_away = quantile * math.sqrt(variance), quantile * math.sqrt(variance + float(unseen))

    weights = bootstrap_weights(n, seed)
    tail = expanded_tail(n, confidence)
    boot = np.quantile(np.log((weights @ r) / (weights @ s)), [tail, 1 - tail]) - centre
    nearer_share = _NEARER * min(1.0, 5 * float(missed.mean()))

    def reach(bootstrap: float, away: bool) -> float:
        """Distance of a limit from the centre."""
        if away:
            return max(half_away, bootstrap)
        return (1 - nearer_share) * max(half, bootstrap) + nearer_share * min(half, bootstrap)

    low = centre - reach(-float(boot[0]), away=centre <= 0)
    high = centre + reach(float(boot[1]), away=centre >= 0)
    return math.exp(low), math.exp(high)


def _mean_depth(times: Array, horizon: float) -> float:
    """Return the mean distance between the horizon and the hits below it."""
    below = times[times < horizon]
    return float(horizon - below.mean()) if below.size else 0.0


def ert_ratio(
    reference_spent: ArrayLike,
    reference_hits: ArrayLike,
    schedule_spent: ArrayLike,
    schedule_hits: ArrayLike,
    *,
    seed: int,
    confidence: float = 0.95,
) -> Speedup:
    """Return the ratio of ERTs, reference over schedule, with an expanded percentile interval over pairs.

    A resample without a hit has an infinite ERT, and its ratio is 0 or infinite; a limit that falls there
    is open: 0 below, None above. No test comes with it (``p_value`` is None).

    Args:
        reference_spent, schedule_spent: shape (n,), time spent by each run, hit or not, paired by seed; or
            the sums over the runs of each replicate.
        reference_hits, schedule_hits: shape (n,), 1 where the run hit; or the numbers of hits.
        seed: of the bootstrap.
    """
    r, s = np.asarray(reference_spent, dtype=float), np.asarray(schedule_spent, dtype=float)
    r_hit, s_hit = np.asarray(reference_hits, dtype=float), np.asarray(schedule_hits, dtype=float)
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
        return Speedup(ratio, None, None, None, 1, "One pair gives no interval.")
    weights = bootstrap_weights(n, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Hits multiplied crosswise: no hit of the reference is inf, none of the schedule 0, neither NaN.
        ratios = ((weights @ r) * (weights @ s_hit)) / ((weights @ s) * (weights @ r_hit))
    tail = expanded_tail(n, confidence)
    low, high = np.quantile(ratios[~np.isnan(ratios)], [tail, 1 - tail], method="inverted_cdf")
    note = "" if math.isfinite(high) else "Too few runs reached the target: the ratio has no upper limit."
    return Speedup(ratio, float(low), float(high) if math.isfinite(high) else None, None, n, note)
