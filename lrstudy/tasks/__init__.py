"""The parts of a training: data sets, the batch pipeline, models, losses, optimizers and metrics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrstudy.tasks.assembly import Seeds, TrainingParts, assemble
    from lrstudy.tasks.losses import build_loss
    from lrstudy.tasks.metric_sums import MetricSums
    from lrstudy.tasks.models import build_model, count_parameters
    from lrstudy.tasks.optimizers import build_optimizer
    from lrstudy.tasks.pipeline import Pipeline
    from lrstudy.tasks.precision import Precision, precision_of
    from lrstudy.tasks.splits import Split
    from lrstudy.tasks.task_check import check_task
    from lrstudy.tasks.task_data import TaskData, load_data

__all__ = [
    "MetricSums",
    "Pipeline",
    "Precision",
    "Seeds",
    "Split",
    "TaskData",
    "TrainingParts",
    "assemble",
    "build_loss",
    "build_model",
    "build_optimizer",
    "check_task",
    "count_parameters",
    "load_data",
    "precision_of",
]

_LAZY = {
    "MetricSums": "metric_sums",
    "Pipeline": "pipeline",
    "Precision": "precision",
    "Seeds": "assembly",
    "Split": "splits",
    "TaskData": "task_data",
    "TrainingParts": "assembly",
    "assemble": "assembly",
    "build_loss": "losses",
    "build_model": "models",
    "build_optimizer": "optimizers",
    "check_task": "task_check",
    "count_parameters": "models",
    "load_data": "task_data",
    "precision_of": "precision",
}


def __getattr__(name: str) -> Any:
    # ``lrstudy tasks`` and ``lrstudy data`` list and fetch without torch, whose import takes seconds.
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
