"""Was it tuned? Signs that a schedule's budget or search space was too small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lrstudy.analysis.columns import Trial
from lrstudy.metrics import Metric

# A best value within this share of a range counts as lying at its edge.
EDGE = 0.05


def tuning_warnings(
    name: str, space: Mapping[str, Any], tune: Sequence[Trial], confirm: Sequence[Trial], metric: Metric
) -> list[str]:
    """Sentences on one schedule's tuning; none when there was nothing to search."""
    measured = [trial for trial in tune if trial.objective is not None]
    if not space or not measured:
        return []
    best = _best(measured, metric)
    found = [*_edges(name, space, best), *_rising(name, measured, metric)]
    return found + _winners_curse(name, best, confirm, metric)


def _best(measured: Sequence[Trial], metric: Metric) -> Trial:
    return min(measured, key=lambda trial: (_cost(trial, metric), trial.best_epoch or 0, trial.trial_id))


def _cost(trial: Trial, metric: Metric) -> float:
    assert trial.objective is not None
    return -trial.objective if metric.higher_is_better else trial.objective


def _edges(name: str, space: Mapping[str, Any], best: Trial) -> list[str]:
    warnings = []
    for parameter, span in space.items():
        if not isinstance(span, dict) or parameter not in best.params:
            continue
        place = _place(span, float(best.params[parameter]))
        if EDGE <= place <= 1 - EDGE:
            continue
        edge, way = ("low", "lower") if place < EDGE else ("high", "raise")
        warnings.append(
            f"{name}: the best {parameter} ({best.params[parameter]:.4g}) lies at the {edge} end of its "
            f"space, {span['low']:g} to {span['high']:g}. A better one may lie beyond: {way} its {edge}."
        )
    return warnings


def _place(span: Mapping[str, Any], value: float) -> float:
    """Where a value lies in its range, from 0 to 1."""
    low, high = float(span["low"]), float(span["high"])
    if low == high:
        return 0.5
    if span.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _rising(name: str, measured: Sequence[Trial], metric: Metric) -> list[str]:
    """Whether the last quarter of the trials still brought a tenth of the whole improvement."""
    costs = np.array([_cost(trial, metric) for trial in sorted(measured, key=lambda t: t.trial_id)])
    if len(costs) < 8:
        return []
    best = np.minimum.accumulate(costs)
    typical = float(np.median(costs))
    late = best[len(best) - 1 - len(best) // 4] - best[-1]
    if late <= 0.1 * (typical - best[-1]) or late <= 0:
        return []
    trials = len(costs)
    sentence = f"{name}: its best value still improved in the last quarter of its {trials} tuning trials"
    return [f"{sentence}: more trials may find a better one."]


def _winners_curse(name: str, best: Trial, confirm: Sequence[Trial], metric: Metric) -> list[str]:
    """Whether the winner did clearly worse on fresh seeds than in the trial that made it win."""
    values = [trial.best_val for trial in confirm if trial.best_val is not None]
    if len(values) < 3 or best.best_val is None:
        return []
    gap = best.best_val - float(np.mean(values))
    gap = gap if metric.higher_is_better else -gap
    if gap <= 2 * float(np.std(values, ddof=1)) or gap <= 0:
        return []
    tuned, confirmed = f"{best.best_val:.4g}", f"{np.mean(values):.4g}"
    sentence = f"{name}: the winning tuning trial reached {tuned}, its confirm runs only {confirmed}"
    return [f"{sentence}: it won partly by luck."]


def toss_up(tune: Sequence[Trial], confirm: Sequence[Trial], metric: Metric) -> bool:
    """Whether the runner-up came closer to the winner than runs of the winner come to each other."""
    measured = [trial for trial in tune if trial.objective is not None]
    values = [trial.best_val for trial in confirm if trial.best_val is not None]
    if not measured or len(values) < 3:
        return False
    best = _best(measured, metric)
    others = [_cost(trial, metric) for trial in measured if trial.params != best.params]
    return bool(others) and min(others) - _cost(best, metric) < float(np.std(values, ddof=1))


def toss_up_warnings(names: Sequence[str]) -> list[str]:
    """One sentence for all schedules that it holds for: in most studies these are many."""
    if not names:
        return []
    close = (
        "the winner and the runner-up of the tuning differ by less than runs of the winner on fresh seeds do"
    )
    return [f"{', '.join(names)}: {close}. Other seeds might have chosen other values."]
