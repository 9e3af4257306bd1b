"""The metric that an imported study is judged by, and why it is not another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.rules.metrics import METRICS, Metric
from lrstudy.store.log_run import Run

# The default metric of a study: the first of these that every one of its runs has.
_ORDER: Final = ("val_accuracy", "val_r2", "val_loss", "train_accuracy", "train_r2", "train_loss")


def choose_metric(study: str, runs: Sequence[Run], wanted: str | None) -> Metric:
    """The metric that a study is judged by: the one wanted, else the first in order that all runs have."""

    def is_in_all(name: str) -> bool:
        column = METRICS[name].column
        return all(any(row.get(column) is not None for row in run.epochs) for run in runs)

    if wanted is not None and wanted not in METRICS:
        remedy = did_you_mean(wanted, list(METRICS))
        raise InputError(Problem("command line", "--metric", "is not a metric", remedy, wanted))
    names = [name for name in ([wanted] if wanted else _ORDER) if is_in_all(name)]
    if not names:
        what = wanted or "any metric in common"
        remedy = f"Choose one that all have: {', '.join(filter(is_in_all, METRICS)) or 'there is none'}"
        raise InputError(Problem(study, "--metric", f"not all of its runs have {what}", remedy))
    return METRICS[names[0]]


def why_chosen(metric: Metric, runs: Sequence[Run]) -> str:
    """The reason for not judging by a metric that comes first in order; empty for the first of all."""
    for name in _ORDER[: _ORDER.index(metric.name)] if metric.name in _ORDER else ():
        column = METRICS[name].column
        without = [run for run in runs if not any(row.get(column) is not None for row in run.epochs)]
        if len(without) < len(runs):
            more = f" and {len(without) - 1:,} more" if len(without) > 1 else ""
            return f"{name} is missing in {without[0]}{more}"
    return "no run has a validation metric" if metric.name.startswith("train_") else ""


def check_targets(metric: Metric, targets: Sequence[float]) -> None:
    """Raise ``InputError`` for a target that no value of the metric can be."""
    message = f"is outside the range of {metric.name}, {metric.low:g} to {metric.high:g}"
    remedy = "Give a value in that range; an accuracy is a fraction, not a percentage"
    problems = [
        Problem("command line", "--target", message, remedy, target)
        for target in targets
        if not math.isfinite(target) or not metric.low <= target <= metric.high
    ]
    if problems:
        raise InputError(problems)
