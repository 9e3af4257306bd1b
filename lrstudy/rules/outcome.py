"""The outcome of a trial and its objective, computed from the metric's values alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.clocks import time_of
from lrstudy.rules.metrics import Metric

if TYPE_CHECKING:
    from lrstudy.spec import Study


@dataclass(slots=True)
class Outcome:
    """Outcome of a trial. ``objective`` is what tuning compares, in the metric's own direction.

    ``evaluations`` is the number of evaluations, and ``best_evaluation`` the one (from 1) that measured
    ``best_val``. ``found`` is the result of a range test: it is added to the trial's ``params``.
    """

    status: Status
    evaluations: int
    best_val: float | None = None
    best_evaluation: int | None = None
    objective: float | None = None
    error: str | None = None
    test: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)


def best_index(values: Sequence[float], metric: Metric) -> int | None:
    """Return the index of the best value, the earliest of equals; None if the metric was never a number."""
    best: int | None = None
    for index, value in enumerate(values):
        if not math.isnan(value) and (best is None or metric.better(value, values[best])):
            best = index
    return best


def divergence(record: EvaluationRecord, bound: float) -> str | None:
    """Return the reason why a trial counts as diverged at an evaluation, or None."""
    for name, loss in (("training", record.train_loss), ("validation", record.val_loss)):
        if loss is None:
            continue
        if not math.isfinite(loss):
            return f"{name} loss became {loss} {record.when}"
        if loss > bound:
            return f"{name} loss {loss:.6g} passed the bound {bound:g} {record.when}"
    return None


def learned(losses: Sequence[float | None]) -> float | None:
    """Return the share by which the training loss fell from the first value to the last, None where unknown.

    >>> learned([2.0, 1.5, 0.5]), learned([2.0]), learned([2.0, math.nan])
    (0.75, None, None)
    """
    if len(losses) < 2:
        return None
    first, last = (math.nan if loss is None else float(loss) for loss in (losses[0], losses[-1]))
    return (first - last) / abs(first) if math.isfinite(first) and math.isfinite(last) and first else None


def pruned_after(study: Study, rows: Sequence[EvaluationRecord]) -> Outcome:
    """Return the outcome of a trial that a pruner ends after these evaluations."""
    return outcome_after(study, rows, Status.PRUNED)


def outcome_after(
    study: Study, rows: Sequence[EvaluationRecord], status: Status, diverged: str | None = None
) -> Outcome:
    """Return the outcome of a trial with these evaluations; ``diverged`` is why the last one counts so."""
    metric = study.metric
    measured = (metric.value(row.value(metric.column)) for row in rows)
    values = [math.nan if value is None else value for value in measured]
    if diverged is not None and values:
        values[-1] = math.nan
    best = best_index(values, metric)
    goal = study.goal
    times = [time_of(row, goal.clock) for row in rows]
    objective = None if diverged is not None else goal.objective.value(values, times)
    outcome = Outcome(status, len(rows), objective=objective, error=diverged)
    if best is not None:
        outcome.best_val, outcome.best_evaluation = values[best], best + 1
    return outcome
