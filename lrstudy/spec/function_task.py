"""The task that is the user's own training function, in place of the built-in one."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lrstudy.spec.space import Trouble

# Names that a report may give beside the declared metrics.
UNDECLARED: Final = ("train_loss", "samples", "tokens")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FUNCTION: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class MetricSpec(BaseModel):
    """A metric that the training reports: its direction and the bounds of its values."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    goal: Literal["min", "max"]
    low: float | None = None
    high: float | None = None


def _metrics(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    return {name: {"goal": value} if isinstance(value, str) else value for name, value in raw.items()}


def _tuple(raw: Any) -> Any:
    return tuple(raw) if isinstance(raw, list) else raw


class FunctionTask(BaseModel):
    """The user's own training: ``train`` is called with a ``lrstudy.Trial`` for every trial.

    Exactly one of ``steps`` and ``epochs`` is the length of a trial, and with it the study's clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    train: str = Field(min_length=1)
    steps: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    lengths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple)] = ()
    evaluate_every: int | None = Field(default=None, ge=1)
    steps_per_epoch: int | None = Field(default=None, ge=1)
    metrics: Annotated[dict[str, MetricSpec], BeforeValidator(_metrics)]
    options: dict[str, Any] = {}
    lr: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    divergence: float = Field(default=1e9, gt=0)

    @property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The metrics as a study declares them."""
        return {name: dict(metric) for name, metric in self.metrics.items()}

    @property
    def clock(self) -> Literal["steps", "epochs"]:
        """The unit of a trial's length."""
        return "steps" if self.steps is not None else "epochs"

    @property
    def length(self) -> int:
        """The length of a trial in the unit of ``clock``."""
        length = self.steps if self.steps is not None else self.epochs
        assert length is not None
        return length

    @property
    def evaluations(self) -> int | None:
        """The number of evaluations of a whole trial; None if only the function decides."""
        if self.steps is not None and self.evaluate_every is not None:
            return math.ceil(self.steps / self.evaluate_every)
        return self.epochs if self.evaluate_every is None else None


def check_function_task(task: FunctionTask, troubles: list[Trouble]) -> None:
    """Check the parts of a function's task against each other."""
    if not _FUNCTION.fullmatch(task.train):
        message, remedy = "is not module:function", 'For example train = "my_project:train".'
        troubles.append(Trouble("task.train", message, remedy, task.train))
    if (task.steps is None) == (task.epochs is None):
        message = "gives no length" if task.steps is None else "gives two lengths, steps and epochs"
        remedy = "Give one: steps = 20000 (optimizer steps) or epochs = 30 (passes over the data)."
        troubles.append(Trouble("task", message, remedy, None))
    if task.steps is not None and task.evaluate_every is not None and task.evaluate_every > task.steps:
        message = f"is more than task.steps, {task.steps}"
        remedy = "Give at most so many; the last step is evaluated in any case."
        troubles.append(Trouble("task.evaluate_every", message, remedy, task.evaluate_every))
    if not task.metrics:
        remedy = 'Name what the function reports: metrics = { val_loss = "min" }.'
        troubles.append(Trouble("task.metrics", "is empty", remedy, {}))
    for name, metric in task.metrics.items():
        _check_metric(name, metric, troubles)


def _check_metric(name: str, metric: MetricSpec, troubles: list[Trouble]) -> None:
    key = f"task.metrics.{name}"
    if not _NAME.fullmatch(name):
        remedy = "Use letters, digits and _, as in a Python name."
        troubles.append(Trouble(key, "is not a usable name", remedy, name))
    elif name in RESERVED:
        remedy = "Choose another name: it is a column of the store."
        troubles.append(Trouble(key, "is a name that the store uses", remedy, name))
    if metric.low is not None and metric.high is not None and not metric.low < metric.high:
        message = f"has low {metric.low:g}, which is not below high {metric.high:g}"
        troubles.append(Trouble(key, message, "Exchange them, or leave both out.", None))


# Columns of the store's evaluations that are no metrics. ``train_loss``, ``val_loss`` and the like may be
# declared: the store has a column for each, and the built-in task means the same by it.
RESERVED: Final = (
    *("trial_id", "phase", "schedule", "seed", "evaluation", "step", "samples", "tokens", "epoch"),
    *("train_seconds", "estimate_seconds", "eval_seconds", "lr", "lr_min", "lr_max"),
    *("lipschitz_constant", "kz", "weight_norm"),
)
