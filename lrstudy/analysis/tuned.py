"""Was it tuned? Signs that a schedule's budget or search space was too small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lrstudy.analysis.columns import Trial
from lrstudy.analysis.configurations import Configuration, configurations, ranked
from lrstudy.metrics import Metric

# A best value within this share of a range counts as lying at its edge.
EDGE = 0.05
# With fewer choices the best is at an end too often to mean anything.
FEWEST_CHOICES = 4


def tuning_warnings(
    name: str, space: Mapping[str, Any], tune: Sequence[Trial], confirm: Sequence[Trial], metric: Metric
) -> list[str]:
    """Sentences on one schedule's tuning; none when there was nothing to search."""
    tried = ranked(tune, metric)
    if not space or not tried or tried[0].objective is None:
        return []
    found = [*_edges(name, space, tried), *_rising(name, tune, metric)]
    return found + _winners_curse(name, tried[0], confirm, metric)


def _edges(name: str, space: Mapping[str, Any], tried: Sequence[Configuration]) -> list[str]:
    best, warnings = tried[0].params, []
    for parameter, span in space.items():
        value = best.get(parameter)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        ends = _range(span, best, [one.params[parameter] for one in tried if parameter in one.params])
        if ends is None:
            continue
        low, high = ends
        if isinstance(span, Mapping):
            place = _place(low, high, value, log=bool(span.get("log")))
        else:
            place = {low: 0.0, high: 1.0}.get(value, 0.5)
        if EDGE <= place <= 1 - EDGE:
            continue
        edge, way = ("low", "lower") if place < EDGE else ("high", "raise")
        if isinstance(span, Mapping) and isinstance(span[edge], str):
            continue  # that end is another parameter's value, and nothing lies beyond it
        warnings.append(
            f"{name}: the best {parameter} ({value:.4g}) lies at the {edge} end of its "
            f"space, {low:g} to {high:g}. A better one may lie beyond: {way} its {edge}."
        )
    return warnings


def _range(span: Any, best: Mapping[str, Any], tried: Sequence[Any]) -> tuple[float, float] | None:
    """The ends of what was searched: as declared, or as far beyond as an extension has tried.

    None for what has no ends: choices that are no numbers, or so few that one is at an end anyway.
    """
    if not isinstance(span, Mapping):
        numbers = {one for one in span if isinstance(one, int | float) and not isinstance(one, bool)}
        return (min(numbers), max(numbers)) if len(numbers) == len(span) >= FEWEST_CHOICES else None
    if any(isinstance(span[end], str) for end in ("low", "high")):
        return float(_end(span["low"], best)), float(_end(span["high"], best))
    return min(float(span["low"]), *tried), max(float(span["high"]), *tried)


def _end(end: float | str, params: Mapping[str, Any]) -> Any:
    return params[end] if isinstance(end, str) else end


def _place(low: float, high: float, value: float, *, log: bool) -> float:
    """Where a value lies in its range, from 0 to 1."""
    if low == high:
        return 0.5
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _rising(name: str, tune: Sequence[Trial], metric: Metric) -> list[str]:
    """Whether the last quarter of the configurations still brought a tenth of the whole improvement."""
    costs = np.array([cost for one in configurations(tune) if math.isfinite(cost := one.cost(metric))])
    if len(costs) < 8:
        return []
    best = np.minimum.accumulate(costs)
    typical = float(np.median(costs))
    late = best[len(best) - 1 - len(best) // 4] - best[-1]
    if late <= 0.1 * (typical - best[-1]) or late <= 0:
        return []
    sentence = f"{name}: its best value still improved in the last quarter of its {len(costs)} tuning trials"
    return [f"{sentence}: more trials may find a better one."]


def _winners_curse(name: str, best: Configuration, confirm: Sequence[Trial], metric: Metric) -> list[str]:
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
    values = [trial.best_val for trial in confirm if trial.best_val is not None]
    costs = [one.cost(metric) for one in ranked(tune, metric) if one.objective is not None]
    if len(costs) < 2 or len(values) < 3:
        return False
    return costs[1] - costs[0] < float(np.std(values, ddof=1))


def toss_up_warnings(names: Sequence[str]) -> list[str]:
    """One sentence for all schedules that it holds for: in most studies these are many."""
    if not names:
        return []
    close = (
        "the winner and the runner-up of the tuning differ by less than runs of the winner on fresh seeds do"
    )
    return [f"{', '.join(names)}: {close}. Other seeds might have chosen other values."]
