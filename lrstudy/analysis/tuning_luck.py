"""The share of the difference between two winners that is luck of their tuning.

Confirm seeds tell how two configurations differ. That two *schedules* differ is a larger claim: another
tuning of the same schedule with the same budget would have found another configuration, which may be
faster or slower although it is as good by the objective. A schedule compared with itself, tuned twice,
shows it (tests/tuning/aa_study.py): without the part added here many such studies find a winner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.intervals import t_quantile, t_two_sided
from lrstudy.analysis.resampling import TIE
from lrstudy.analysis.speedup import Speedup, paired_variation
from lrstudy.analysis.timing import Timing
from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.analysis.tried_configurations import ranked
from lrstudy.rules.metrics import Metric
from lrstudy.rules.objective import Objective


def selection_probabilities(n: int) -> np.ndarray:
    """Probability of each rank to win a redraw of n out of n configurations: shape (n,), best first.

    Of n draws with replacement the best is of rank i or worse with probability ((n - i + 1) / n)^n.

    >>> selection_probabilities(1).tolist(), selection_probabilities(2).tolist()
    ([1.0], [0.75, 0.25])
    """
    worse = ((n - np.arange(n + 1)) / n) ** n
    return worse[:-1] - worse[1:]


def winner_variance(log_times: ArrayLike, run_variances: ArrayLike) -> float:
    """Variance of the winner's log time over tunings with the same budget, by the bootstrap in closed form.

    Args:
        log_times: shape (n,), log restricted time of each configuration, the best by the objective first.
        run_variances: of each of these values between runs of its configuration, or one for all. They are
            part of the spread of ``log_times`` and would be counted twice: confirm runs measure them.
    """
    logs = np.asarray(log_times, dtype=float)
    if logs.size < 2:
        return 0.0
    p = selection_probabilities(logs.size)
    spread = float(p @ (logs - p @ logs) ** 2)
    # E[sum p (x - sum p x)^2] exceeds that of the true times by sum p (1 - p) var(x).
    noise = float((p * (1.0 - p) * np.broadcast_to(np.asarray(run_variances, dtype=float), logs.shape)).sum())
    return max(0.0, spread - noise)


def tuning_variance(
    columns: Columns,
    tune: Sequence[Trial],
    confirm: Sequence[Trial],
    metric: Metric,
    objective: Objective,
    target: float,
    timing: Timing,
) -> float:
    """``winner_variance`` of a schedule's time to a target, from its own tuning and confirm trials."""
    drawn = ranked(tune, objective)
    if len(drawn) < 2:
        return 0.0

    def logs(trials: Sequence[Trial]) -> np.ndarray:
        return np.log(hits_of(columns, trials, metric, target, timing.clock, timing.horizon).restricted)

    between_runs = float(np.var(logs(confirm), ddof=1)) if len(confirm) > 1 else 0.0
    times = np.array([logs(configuration.trials).mean() for configuration in drawn])
    variances = np.array([between_runs / len(configuration.trials) for configuration in drawn])
    if len(confirm) > 1 and confirm[0].params == drawn[0].params:
        # The winner's own tuning runs were lucky ones: that is why it won. Its confirm runs know better.
        times[0], variances[0] = logs(confirm).mean(), between_runs / len(confirm)
    return winner_variance(times, variances)


def with_tuning(
    speedup: Speedup, reference: ArrayLike, schedule: ArrayLike, variance: float, confidence: float
) -> Speedup:
    """A speedup whose ``tuned_low``, ``tuned_high`` and ``tuning_p`` also allow for another tuning.

    A t-interval of the log ratio as in ``paired_speedup``, its squared error larger by ``variance`` (the
    sum of both schedules' ``tuning_variance``), and never narrower than the interval given the winners.

    Args:
        reference, schedule: shape (n,), restricted times paired by seed.
    """
    r, s = np.asarray(reference, dtype=float), np.asarray(schedule, dtype=float)
    if speedup.ratio is None or speedup.low is None or speedup.high is None or variance <= TIE:
        return speedup
    error = math.sqrt((paired_variation(r, s) or 0.0) ** 2 / r.size + variance)
    effect = math.log(speedup.ratio)
    half = t_quantile(0.5 + confidence / 2, r.size - 1) * error
    return replace(
        speedup,
        tuning_variance=variance,
        tuned_low=min(speedup.low, math.exp(effect - half)),
        tuned_high=max(speedup.high, math.exp(effect + half)),
        tuning_p=t_two_sided(effect / error, r.size - 1),
    )
