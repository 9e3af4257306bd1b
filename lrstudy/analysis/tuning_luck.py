"""The share of the difference between two winners that is luck of their tuning.

Confirm seeds tell how two configurations differ. That two *schedules* differ is a larger claim: another
tuning of the same schedule with the same budget would have found another configuration, which may be
faster or slower although it is as good by the objective. A schedule compared with itself, tuned twice,
shows it (tests/tuning/aa_study.py): without the part added here many such studies find a winner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.intervals import t_quantile, t_two_sided
from lrstudy.analysis.resampling import TIE
from lrstudy.analysis.speedup import Speedup, paired_variation
from lrstudy.analysis.timing import Timing
from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.analysis.tried_configurations import ranked
from lrstudy.records import Status
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


@dataclass(frozen=True, slots=True)
class TuningLuck:
    """Variance of a winner's log time over tunings, the same for all tuned schedules of a study.

    One tuning tells little of it: about one degree of freedom, and an estimate of exactly 0 in 26 to 54% of
    tunings. So the mean over schedules counts, with one further schedule whose variance is that between runs
    of a winner (measured over many tunings, the luck was 0.2 to 1 of it).
    """

    variance: float
    degrees: float


def pooled_luck(estimates: Sequence[tuple[float, float]]) -> TuningLuck | None:
    """Return the luck of a study's tunings; None where nothing was tuned.

    ``estimates`` are the ``winner_variance`` of each tuned schedule and the variance of the log time between
    runs of its winner.
    """
    if not estimates:
        return None
    variances, between_runs = np.array(estimates, dtype=float).T
    variance = (float(variances.sum()) + float(between_runs.mean())) / (len(estimates) + 1)
    return TuningLuck(variance, len(estimates))


def tuning_variances(
    columns: Columns,
    tune: Sequence[Trial],
    confirm: Sequence[Trial],
    metric: Metric,
    objective: Objective,
    target: float,
    timing: Timing,
    *,
    told: bool = True,
) -> tuple[float, float] | None:
    """Return what ``pooled_luck`` needs of a schedule, from its own tuning and confirm trials.

    None where no winner was chosen. A tuning run that was ended early counts with the time that it ran: its
    time to the target is known to be longer. Where tuning runs were stopped before they could reach this
    target (not ``told``), the luck is taken to be as large as the variance between runs of the winner.
    """
    drawn = ranked(tune, objective)
    if len(drawn) < 2:
        return None

    def logs(trials: Sequence[Trial]) -> np.ndarray:
        found = hits_of(columns, trials, metric, target, timing.clock, timing.horizon)
        cut = np.array([trial.status is Status.PRUNED for trial in trials], dtype=bool)
        known = np.where(cut & ~found.hit & (found.time > 0), found.time, found.restricted)
        return np.log(np.minimum(known, timing.horizon))

    # A phase of selection may have chosen another than the first.
    winner = confirm[0].params if confirm else drawn[0].params
    drawn.sort(key=lambda configuration: configuration.params != winner)
    between_runs = float(np.var(logs(confirm), ddof=1)) if len(confirm) > 1 else 0.0
    if not told:
        return between_runs, between_runs
    times = np.array([logs(configuration.trials).mean() for configuration in drawn])
    variances = np.array([between_runs / len(configuration.trials) for configuration in drawn])
    if len(confirm) > 1 and winner == drawn[0].params:
        # The winner's own tuning runs were lucky ones: that is why it won. Its confirm runs know better.
        times[0], variances[0] = logs(confirm).mean(), between_runs / len(confirm)
    return winner_variance(times, variances), between_runs


def with_tuning(
    speedup: Speedup,
    reference: ArrayLike,
    schedule: ArrayLike,
    luck: TuningLuck,
    tuned: int,
    confidence: float,
) -> Speedup:
    """A speedup whose ``tuned_low``, ``tuned_high`` and ``tuning_p``, which allow for another tuning.

    A t-interval of the log ratio as in ``paired_speedup``, its squared error larger by the variance of
    ``luck`` for each of the two that was ``tuned`` (1 or 2), with degrees of freedom by Satterthwaite; never
    narrower than the interval given the winners.

    Args:
        reference, schedule: shape (n,), restricted times paired by seed.
    """
    r, s = np.asarray(reference, dtype=float), np.asarray(schedule, dtype=float)
    variance = tuned * luck.variance
    if speedup.ratio is None or speedup.low is None or speedup.high is None or variance <= TIE:
        return speedup
    seeds = (paired_variation(r, s) or 0.0) ** 2 / r.size
    degrees = (seeds + variance) ** 2 / (seeds**2 / (r.size - 1) + variance**2 / luck.degrees)
    error = math.sqrt(seeds + variance)
    effect = math.log(speedup.ratio)
    half = t_quantile(0.5 + confidence / 2, degrees) * error
    return replace(
        speedup,
        tuning_variance=variance,
        tuned_low=min(speedup.low, math.exp(effect - half)),
        tuned_high=max(speedup.high, math.exp(effect + half)),
        tuning_p=t_two_sided(effect / error, degrees),
    )
