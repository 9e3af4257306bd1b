"""Cost of tuning: expected best of n trials, time to target with tuning included, break-even."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BestOfN:
    """Expected best of n = 1..N trials; all fields have length N.

    ``low`` and ``high`` are numeric limits (low <= high) for either direction.
    """

    n: tuple[int, ...]
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def subset_weights(total: int) -> Array:
    """Weights of shape (N, N): row n - 1, column k - 1 is P(best of n out of N has rank k), rank 1 the worst.

    C(k - 1, n - 1) / C(N, n): of all subsets of n trials, those whose best is the k-th.
    """
    n: Array = np.arange(1.0, total + 1)[:, None]
    k: Array = np.arange(1.0, total + 1)[None, :]

    def log_choose(a: Array, b: Array) -> Array:
        result: Array = special.gammaln(a + 1) - special.gammaln(b + 1) - special.gammaln(a - b + 1)
        return result

    possible = k >= n
    logs = log_choose(np.maximum(k, n) - 1, n - 1) - log_choose(np.full_like(n, total), n)
    weights = np.where(possible, np.exp(logs), 0.0)
    normalised: Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def best_of_n(
    values: Sequence[float | None],
    higher_is_better: bool,
    confidence: float = 0.95,
    *,
    support: tuple[float | None, float | None] = (None, None),
) -> BestOfN:
    """Expected best of n of N independent tuning trials with a band that holds for all n at once.

    The estimate is the U-statistic, the mean over all subsets of n of the N trials (unbiased; Dodge et al.
    2019's plug-in with replacement is not). The band is Kolmogorov's: with probability ``confidence`` the
    true distribution function is within d of the empirical one everywhere, d the exact two-sided quantile
    of the Kolmogorov statistic (conservative with ties), so that E[best of n] = int x dF^n is between the
    values at F + d and F - d. Near n = N the U-statistic, which draws without replacement, can pass that by
    a hair; the band is stretched to hold it.

    Args:
        values: what each trial reached. None and NaN (failed, diverged) and infinities on the bad side count
            as the worst: the worst end of the support, or the worst finite value seen where there is none.
        higher_is_better: of the values.
        confidence: of the band.
        support: least and greatest possible value, e.g. (0, 1) for an accuracy. An end that is None means
            the least or greatest value seen: the band then speaks of the best of n clipped to what was
            seen, and says nothing of values beyond it.

    Returns:
        Empty for no trial, and when no trial has a finite value.
    """
    seen = np.array([math.nan if v is None else float(v) for v in values])
    finite = seen[np.isfinite(seen)]
    if not finite.size:
        return BestOfN((), (), (), ())
    sign = 1.0 if higher_is_better else -1.0
    ends = (
        finite.min() if support[0] is None else support[0],
        finite.max() if support[1] is None else support[1],
    )
    worst, best = (ends[0], ends[1]) if higher_is_better else (-ends[1], -ends[0])
    # From here on larger is better.
    x = np.sort(np.clip(np.where(np.isfinite(seen), sign * seen, worst), worst, best))
    total = x.size
    expected = subset_weights(total) @ x
    d = float(stats.kstwo.ppf(confidence, total))
    pessimistic = np.minimum(_expected_best(np.append(worst, x), _shifted_up(total, d)), expected)
    optimistic = np.maximum(_expected_best(np.append(x, best), _shifted_down(total, d)), expected)
    low, high = (pessimistic, optimistic) if higher_is_better else (-optimistic, -pessimistic)
    return BestOfN(
        tuple(range(1, total + 1)),
        tuple((sign * expected).tolist()),
        tuple(low.tolist()),
        tuple(high.tolist()),
    )


def _shifted_up(total: int, d: float) -> Array:
    """min(F + d, 1) at the worst end and at each ordered value, shape (N + 1,)."""
    upper: Array = np.minimum(np.arange(total + 1) / total + d, 1.0)
    return upper


def _shifted_down(total: int, d: float) -> Array:
    """max(F - d, 0) at each ordered value, and 1 at the best end, shape (N + 1,)."""
    lower: Array = np.append(np.maximum(np.arange(1, total + 1) / total - d, 0.0), 1.0)
    return lower


def _expected_best(points: Array, distribution: Array) -> Array:
    """int x dF^n, shape (N,), n = 1..N, of the step function with values ``distribution`` at ``points``."""
    n = np.arange(1, points.size)[:, None]
    mass = np.diff(distribution[None, :] ** n, axis=1, prepend=0.0)
    result: Array = mass @ points
    return result


@dataclass(frozen=True, slots=True)
class TunedTime:
    """Expected time to target after n = 1..N tuning trials; all fields have length N.

    Attributes:
        n: tuning trials.
        tuning: time that n trials cost, in the unit of the times.
        time: ERT of the configuration that n trials select; None when it never hits.
        total: ``tuning + time``, the price of getting there from nothing.
    """

    n: tuple[int, ...]
    tuning: tuple[float, ...]
    time: tuple[float | None, ...]
    total: tuple[float | None, ...]


def time_with_tuning(
    tuning_times: Sequence[float | None],
    cost_per_trial: float | Sequence[float],
    confirm_ert: float | None,
    *,
    objectives: Sequence[float | None] | None = None,
    higher_is_better: bool = True,
    runs_per_trial: float | Sequence[int] = 1,
) -> TunedTime:
    """Expected time to target against the number of tuning trials, without and with the cost of tuning.

    Tuning with n trials means: draw n of the N tuning trials, take the configuration with the best
    objective, train it again until it hits. w_nk is the probability that it is the k-th best
    (``subset_weights``); h_k is whether its tuning run hit, s_k what that run spent (its hit time, or its
    whole cost). The time is the mixture's ERT, sum_k w_nk s_k / sum_k w_nk h_k, and the tuning cost n times
    the mean cost of a trial. The overall winner was trained on fresh seeds as well, which its one lucky
    tuning run cannot replace: with ``confirm_ert`` its s is that ERT and its h 1, so the last point of the
    curve is ``confirm_ert`` itself.

    Args:
        tuning_times: shape (N,), time to target of each tuning trial; None, NaN or infinity is a miss.
        cost_per_trial: cost of a trial in the same unit (epochs, seconds, …): one for all, or shape (N,).
        confirm_ert: ERT of the winner over its confirm runs; infinity when none of them hit; None when
            there are none (its tuning run then counts instead).
        objectives: shape (N,), what the tuner selects by; None or NaN is the worst. Without it the trial
            that was fastest to the target is selected.
        higher_is_better: of the objectives.
        runs_per_trial: how many runs (seeds) the cost of a trial is that of: one for all, or shape (N,).

    Raises:
        ValueError: when lengths differ or a cost is not positive.
    """
    hit_time = np.array([math.inf if v is None or math.isnan(v) else float(v) for v in tuning_times])
    total = hit_time.size
    costs = np.asarray(cost_per_trial, dtype=float)
    if costs.ndim and costs.shape != hit_time.shape:
        raise ValueError(f"{total} tuning times but {costs.size} costs")
    if not (costs > 0).all():
        raise ValueError("a tuning trial must cost more than 0")
    if objectives is not None and len(objectives) != total:
        raise ValueError(f"{total} tuning times but {len(objectives)} objectives")
    if total == 0:
        return TunedTime((), (), (), ())
    cost = np.broadcast_to(costs, hit_time.shape)
    hits = np.isfinite(hit_time)
    one_run = cost / np.asarray(runs_per_trial, dtype=float)
    spent = np.where(hits, hit_time, one_run)
    order = _worst_first(hit_time, objectives, higher_is_better)
    spent, hits = spent[order], hits[order].astype(float)
    if confirm_ert is not None:
        spent[-1] = confirm_ert if math.isfinite(confirm_ert) else float(one_run[order[-1]])
        hits[-1] = float(math.isfinite(confirm_ert))
    weights = subset_weights(total)
    expected_spent, hit_rate = weights @ spent, weights @ hits
    time = [float(s / h) if h > 0 else None for s, h in zip(expected_spent, hit_rate, strict=True)]
    numbers = tuple(range(1, total + 1))
    tuning = tuple(n * float(cost.mean()) for n in numbers)
    with_tuning = tuple(None if t is None else t + c for t, c in zip(time, tuning, strict=True))
    return TunedTime(numbers, tuning, tuple(time), with_tuning)


def _worst_first(
    hit_time: Array, objectives: Sequence[float | None] | None, higher_is_better: bool
) -> NDArray[np.intp]:
    """The trials in order of merit (objective, else time), worst first; of ties the earliest trial wins."""
    if objectives is None:
        merit = -hit_time
    else:
        values = np.array([math.nan if v is None else float(v) for v in objectives])
        merit = np.where(np.isnan(values), -math.inf, values if higher_is_better else -values)
    backwards = np.arange(merit.size)[::-1]
    return backwards[np.argsort(merit[backwards], kind="stable")]


def break_even(untuned_time: float | None, tuned_curve: Sequence[float | None]) -> int | None:
    """The fewest tuning trials at which the tuned curve (index 0: one trial) beats an untuned rule's time.

    Give it ``TunedTime.time`` for "from how many trials on is the tuned schedule the faster one", or
    ``TunedTime.total`` for "when does tuning it and training once cost less than the rule". None as a time
    means that the target is never reached: the first n that reaches it then overtakes.

    >>> break_even(30.0, [50.0, 31.0, 29.0])
    3
    """
    bar = math.inf if untuned_time is None else untuned_time
    return next((n for n, t in enumerate(tuned_curve, start=1) if t is not None and t < bar), None)


def runs_to_repay(untuned_time: float | None, tuning_cost: float, tuned_time: float | None) -> int | None:
    """Trainings that repay a tuning: the least m with tuning_cost + m tuned_time <= m untuned_time.

    None when the tuned schedule is not the faster one; 1 when the untuned rule never gets there.

    >>> runs_to_repay(30.0, 100.0, 20.0)
    10
    """
    if tuned_time is None:
        return None
    if untuned_time is None:
        return 1
    saved = untuned_time - tuned_time
    return max(1, math.ceil(tuning_cost / saved - 1e-9)) if saved > 0 else None
