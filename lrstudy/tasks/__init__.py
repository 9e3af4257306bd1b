"""What is trained on what: data sets, the batch pipeline, models, losses, optimizers and metrics."""

from lrstudy.tasks.check import check_task
from lrstudy.tasks.data import TaskData, load_data
from lrstudy.tasks.losses import build_loss
from lrstudy.tasks.metric_sums import MetricSums
from lrstudy.tasks.models import build_model, count_parameters
from lrstudy.tasks.optimizers import build_optimizer
from lrstudy.tasks.pipeline import Pipeline
from lrstudy.tasks.precision import Precision, precision_of
from lrstudy.tasks.raw import Split
from lrstudy.tasks.step import PlainStep, build_step, step_key

__all__ = [
    "MetricSums",
    "Pipeline",
    "PlainStep",
    "Precision",
    "Split",
    "TaskData",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_step",
    "check_task",
    "count_parameters",
    "load_data",
    "precision_of",
    "step_key",
]
