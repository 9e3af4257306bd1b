"""The metric that an imported study is judged by, and why it is not another."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.rules.metrics import METRICS, Metric, declared_metrics
from lrstudy.store.columns import canonical
from lrstudy.store.log_formats import LogTable
from lrstudy.store.log_options import COMMAND_LINE, ImportOptions
from lrstudy.store.recorded_run import RecordedRun
from lrstudy.store.table_schema import EVALUATIONS_SCHEMA

# The default metric of a study: the first of these that every one of its runs has.
_ORDER: Final = ("val_accuracy", "val_r2", "val_loss", "train_accuracy", "train_r2", "train_loss")
_FALLS: Final = (
    "loss",
    "err",
    "error",
    "perplexity",
    "ppl",
    "bpb",
    "bpc",
    "nll",
    "mse",
    "mae",
    "rmse",
    "wer",
    "cer",
)
_RISES: Final = (
    *("acc", "accuracy", "f1", "auc", "auroc", "bleu", "rouge", "map", "iou", "dice", "precision", "recall"),
    *(
        "r2",
        "score",
        "reward",
        "return",
        "top1",
        "top5",
        "psnr",
        "ssim",
        "mrr",
        "ndcg",
        "pearson",
        "spearman",
    ),
)
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class AskedMetric:
    """The metric that an import was told to judge by, and the column of the logs that it comes from."""

    metric: Metric
    source: str

    @property
    def column(self) -> str:
        """Its column in the store."""
        return self.metric.column

    @property
    def declared(self) -> dict[str, str]:
        """The metric with its goal, if the study has to declare it."""
        if self.metric.name in METRICS:
            return {}
        return {self.metric.name: "max" if self.metric.higher_is_better else "min"}


def asked_metric(options: ImportOptions, tables: Iterable[LogTable]) -> AskedMetric | None:
    """Return the metric of ``--metric``: one of lrstudy's own, else any column; None without it."""
    name = options.metric_name
    if name is None:
        return None
    names = dict.fromkeys(column for table in tables for column in table.names)
    meant = canonical(name, test_is_validation=True) if name in names else None
    known = METRICS.get(name) or METRICS.get(meant or "")
    if known is not None:
        if options.goal and (options.goal == "max") != known.higher_is_better:
            remedy = f"{known.name} has the goal {'max' if known.higher_is_better else 'min'}: leave it out"
            raise _problem("has another goal", remedy, options)
        return AskedMetric(known, name)
    if name not in names:
        raise _problem("is not a metric", did_you_mean(name, [*METRICS, *names]), options)
    goal = options.goal or _usual_goal(name)
    if goal is None:
        remedy = f"Say whether less or more is better: {name}:min or {name}:max"
        raise _problem("is a column without a known goal", remedy, options)
    column = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:_LONGEST]
    if not column or column in EVALUATIONS_SCHEMA.names or column in METRICS:
        raise _problem("is no metric, but a column of the store", "Choose a loss or a score", options)
    return AskedMetric(declared_metrics({column: goal})[column], name)


def _problem(message: str, remedy: str, options: ImportOptions) -> InputError:
    return InputError(Problem(COMMAND_LINE, "--metric", message, remedy, options.metric))


def _usual_goal(name: str) -> str | None:
    """Return the goal that a name tells.

    >>> _usual_goal("eval/f1"), _usual_goal("val_perplexity"), _usual_goal("temperature")
    ('max', 'min', None)
    """
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    goals = {goal for goal, known in (("min", _FALLS), ("max", _RISES)) if set(words) & set(known)}
    return goals.pop() if len(goals) == 1 else None


def choose_metric(study: str, runs: Sequence[RecordedRun], asked: AskedMetric | None) -> Metric:
    """Return the metric that a study is judged by: the one asked for, else the first that all runs have."""

    def is_in_all(metric: Metric) -> bool:
        return all(run.has(metric.column) for run in runs)

    metrics = [asked.metric] if asked else [METRICS[name] for name in _ORDER]
    fitting = [metric for metric in metrics if is_in_all(metric)]
    if not fitting:
        what = asked.metric.name if asked else "any metric in common"
        others = ", ".join(name for name, metric in METRICS.items() if is_in_all(metric))
        remedy = f"Choose one that all have: {others or 'there is none'}"
        raise InputError(Problem(study, "--metric", f"not all of its runs have {what}", remedy))
    return fitting[0]


def why_chosen(metric: Metric, runs: Sequence[RecordedRun]) -> str:
    """The reason for not judging by a metric that comes first in order; empty for the first of all."""
    for name in _ORDER[: _ORDER.index(metric.name)] if metric.name in _ORDER else ():
        without = [run for run in runs if not run.has(METRICS[name].column)]
        if len(without) < len(runs):
            more = f" and {len(without) - 1:,} more" if len(without) > 1 else ""
            return f"{name} is missing in {without[0]}{more}"
    return "no run has a validation metric" if metric.name.startswith("train_") else ""


def check_targets(metric: Metric, targets: Sequence[float]) -> None:
    """Raise ``InputError`` for a target that no value of the metric can be."""
    message = f"is outside the range of {metric.name}, {metric.low:g} to {metric.high:g}"
    remedy = "Give a value in that range; an accuracy is a fraction, not a percentage"
    problems = [
        Problem(COMMAND_LINE, "--target", message, remedy, target)
        for target in targets
        if not math.isfinite(target) or not metric.low <= target <= metric.high
    ]
    if problems:
        raise InputError(problems)
