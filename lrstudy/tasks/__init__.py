"""The parts of a training: data sets, the batch pipeline, models, losses, optimizers and metrics."""

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
