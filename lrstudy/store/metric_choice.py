"""The metric that an imported study is judged by, and why it is a training metric where it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.metrics import METRICS, Metric
from lrstudy.store.log_run import Run

# What a study is judged by when nobody says: the first of these that every one of its runs has.
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


def why_training(metric: Metric, runs: Sequence[Run]) -> str:
    """The reason for judging by a training metric that nobody asked for; empty for a validation metric."""
    if not metric.name.startswith("train_"):
        return ""
    columns = sorted({METRICS[name].column for name in _ORDER if name.startswith("val_")})
    without = [run for run in runs if not any(row.get(c) is not None for c in columns for row in run.epochs)]
    if len(without) == len(runs):
        return "no run has a validation metric"
    if not without:
        return "no validation metric is in all runs"
    more = f" and {len(without) - 1:,} more runs have" if len(without) > 1 else " has"
    return f"{without[0]}{more} no validation metric"


def check_targets(metric: Metric, targets: Sequence[float]) -> None:
    """Raise ``InputError`` for a target that no value of the metric can be."""
    for target in targets:
        if not math.isfinite(target) or not metric.low <= target <= metric.high:
            message = f"is no value of {metric.name}"
            remedy = f"Give a number from {metric.low:g} to {metric.high:g}, a fraction and not a percentage"
            if math.isinf(metric.low):
                remedy = (
                    "Give a finite number" if math.isinf(metric.high) else f"Give at most {metric.high:g}"
                )
            raise InputError(Problem("command line", "--target", message, remedy, target))
