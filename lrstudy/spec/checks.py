"""Checks across the sections of a study file: names that exist, values within their range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrstudy.catalog.augmentations import read_augmentation
from lrstudy.catalog.metric_kinds import METRIC_KINDS, metric_kind
from lrstudy.catalog.moved_options import WEIGHT_DECAY, names_moved
from lrstudy.catalog.task_parts import CLASSIFICATION_LOSSES, LOSSES, NORMALIZATIONS, TORCHVISION
from lrstudy.catalog.torchvision_names import TORCHVISION_MODELS
from lrstudy.errors import all_known, did_you_mean
from lrstudy.rules.diagnostics import COLUMNS
from lrstudy.rules.metrics import CLIPPED_SHARE, METRICS, declared_metrics, metric_of
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.models import (
    Budget,
    ComponentSpec,
    RangeTest,
    Resources,
    ScheduleSpec,
    Target,
    TaskSpec,
)
from lrstudy.spec.part_checks import PARTS, check_part
from lrstudy.spec.space import Trouble


def check_task(task: TaskSpec, troubles: list[Trouble]) -> TaskSpec:
    """Check that the task's parts exist and take the options they were given."""
    for part in PARTS:
        check_part(f"task.{part}", part, getattr(task, part), troubles)
    _check_torchvision(task.model, troubles)
    _check_preparation(task, troubles)
    _check_metrics(task, troubles)
    return task


def _check_metrics(task: TaskSpec, troubles: list[Trouble]) -> None:
    """Check that torchmetrics' metrics are known and fit the loss."""
    classes = task.loss.name in CLASSIFICATION_LOSSES
    fitting = [*(f"top-{k}" for k in (3, 5) if classes)]
    fitting += [name for name, kind in METRIC_KINDS.items() if kind.classification == classes]
    for index, name in enumerate(task.metrics):
        key, kind = f"task.metrics[{index}]", metric_kind(name)
        if kind is None:
            troubles.append(Trouble(key, "is not a known metric", did_you_mean(name, fitting), name))
        elif task.loss.name in LOSSES and kind.classification != classes:
            message = f"is not measured with the loss {task.loss.name!r}"
            troubles.append(Trouble(key, message, all_known(fitting), name))
        elif name in task.metrics[:index]:
            troubles.append(Trouble(key, "is there already", "Name each metric once.", name))


def check_task_fits(task: TaskSpec, resources: Resources, troubles: list[Trouble]) -> None:
    """Check that trials get what the task's training needs."""
    if task.precision == "fp16" and not resources.gpus:
        message = "is for GPUs only: a gradient scaler and float16 are of no use on a CPU"
        remedy = 'Set resources.gpus above 0, or use precision = "bf16".'
        troubles.append(Trouble("task.precision", message, remedy, task.precision))
    if resources.workers > 1:
        message = "is for your own training function: the built-in training has one process"
        remedy = 'Leave it out, or train with [task] train = "module:function" and trial.prepare(model).'
        troubles.append(Trouble("resources.workers", message, remedy, resources.workers))
    if task.compile and resources.step == "captured":
        message = 'does not go together with resources.step = "captured"'
        remedy = "Leave one of the two out."
        troubles.append(Trouble("task.compile", message, remedy, task.compile))


def check_workers(resources: Resources, troubles: list[Trouble]) -> None:
    """Check that several workers of a user's training each have a whole GPU, or none."""
    if resources.workers > 1 and 0 < resources.gpus < 1:
        message = f"is a share of a GPU, and resources.workers = {resources.workers}"
        remedy = "Give gpus = 1: the workers of a trial cannot exchange gradients within one GPU."
        troubles.append(Trouble("resources.gpus", message, remedy, resources.gpus))


def _check_torchvision(model: ComponentSpec, troubles: list[Trouble]) -> None:
    name = model.name.removeprefix(TORCHVISION)
    if name != model.name and name not in TORCHVISION_MODELS:
        hint = did_you_mean(name, TORCHVISION_MODELS)
        troubles.append(Trouble("task.model", "is not a classifier of torchvision", hint, model.name))


def _check_preparation(task: TaskSpec, troubles: list[Trouble]) -> None:
    for index, text in enumerate(task.augment):
        if isinstance(message := read_augmentation(text), str):
            remedy = 'Write for example "flip" or "shift:0.1".'
            troubles.append(Trouble(f"task.augment[{index}]", message, remedy, text))
    if task.normalize is not None and task.normalize not in NORMALIZATIONS:
        hint = did_you_mean(task.normalize, list(NORMALIZATIONS))
        troubles.append(Trouble("task.normalize", "is not a normalization", hint, task.normalize))


def check_metric_fits(task: TaskSpec, target: Target, troubles: list[Trouble]) -> None:
    """Check that the loss gives what the study is judged by: an accuracy needs classes, an r² numbers."""
    if task.loss.name not in LOSSES or target.metric not in METRICS:
        return
    classes = task.loss.name in CLASSIFICATION_LOSSES
    wrong = ("val_r2",) if classes else ("val_accuracy", "val_error")
    if target.metric in wrong:
        instead = "val_accuracy, val_error or val_loss" if classes else "val_r2 or val_loss"
        message = f"is not measured with the loss {task.loss.name!r}"
        troubles.append(Trouble("target.metric", message, f"Judge by {instead}.", target.metric))


def check_range_test(settings: RangeTest, troubles: list[Trouble]) -> None:
    """Check that the sweep goes upwards."""
    if settings.low >= settings.high:
        message = f"is not below range_test.high, {settings.high:g}"
        troubles.append(Trouble("range_test.low", message, "Lower it, or raise high.", settings.low))


def check_tested(
    schedules: Sequence[ScheduleSpec],
    settings: RangeTest,
    budget: Budget,
    task: TaskSpec | FunctionTask,
    troubles: list[Trouble],
) -> None:
    """Check that a range test can take the place of a configuration, and costs no more than one trial."""
    tested = [schedule.name for schedule in schedules if schedule.range_tests]
    if not tested:
        return
    if isinstance(task, FunctionTask):
        message = '"range-test" needs the built-in task: it ends a training step by step'
        remedy = "Give the range: { low = 1e-4, high = 1.0, log = true }."
        troubles.append(Trouble(f"schedules.{tested[0]}", message, remedy, None))
        return
    if settings.epochs > task.epochs:
        message = f"is more than a trial of the study has, {task.epochs}"
        remedy = "Give at most so many: a range test within a study takes the place of a trial."
        troubles.append(Trouble("range_test.epochs", message, remedy, settings.epochs))
    if budget.trials < 2:
        message = "leaves nothing to search with: a range test takes the place of one configuration"
        troubles.append(Trouble("budget.trials", message, "Give 2 or more.", budget.trials))


def check_decay(schedules: Sequence[ScheduleSpec], task: TaskSpec, troubles: list[Trouble]) -> None:
    """Check that a moving weight decay reaches the parameters that are meant to decay, and no others."""
    for schedule in schedules:
        options = (schedule.optimizer or task.optimizer).options
        if options.get("weight_decay_on") != "kernels" or options.get("weight_decay"):
            continue
        if WEIGHT_DECAY in names_moved([*schedule.fixed, *schedule.space]):
            message = f"is 0, so that no group is set apart whose weight decay {schedule.name!r} could move"
            remedy = "Give it a value above 0: the kernels then decay, and nothing else."
            place = "task" if schedule.optimizer is None else f"schedules.{schedule.name}"
            troubles.append(Trouble(f"{place}.optimizer.weight_decay", message, remedy, None))
            return


def check_pruner(task: FunctionTask, budget: Budget, troubles: list[Trouble]) -> None:
    """Check that a pruner knows how many evaluations a trial of a user's training has."""
    if budget.pruner == "none" or task.evaluations is not None:
        return
    message = "compares trials at evaluations, and their number is unknown"
    remedy = "Give task.steps with task.evaluate_every; or task.epochs alone, and report once an epoch."
    troubles.append(Trouble("budget.pruner", message, remedy, budget.pruner))


def default_metric(target: Target, raw: Any, task: TaskSpec | FunctionTask | None) -> Target:
    """Return the target with the first metric that a function declares, unless the study file names one."""
    if not isinstance(task, FunctionTask) or not task.metrics or (isinstance(raw, dict) and "metric" in raw):
        return target
    return target.model_copy(update={"metric": next(iter(task.metrics))})


def check_clock(
    task: TaskSpec | FunctionTask, target: Target, resources: Resources, troubles: list[Trouble]
) -> None:
    """Check that the built-in training records the clock of the targets, and each trial by itself."""
    if isinstance(task, FunctionTask):
        return
    if target.clock == "tokens":
        message = "is not counted by the built-in training"
        remedy = "Choose epochs, steps, samples or seconds."
        troubles.append(Trouble("target.clock", message, remedy, target.clock))
    if target.clock == "seconds" and resources.lanes != 0:
        message = "cannot be compared in a study with lanes, whose trials share the time of a process"
        remedy = "Set resources.lanes = 0, or choose epochs, steps or samples."
        troubles.append(Trouble("target.clock", message, remedy, target.clock))


def check_target(
    target: Target,
    schedules: Sequence[ScheduleSpec],
    names: Sequence[str],
    troubles: list[Trouble],
    task: TaskSpec | FunctionTask | None = None,
) -> Target:
    """Check the metric, its levels and the reference; fills in the reference where none is named.

    ``names`` are those of all schedules and methods, the unsound ones included.
    """
    declared = {} if task is None else declared_metrics(task.declared)
    known = [name for name in declared if name not in (CLIPPED_SHARE, *COLUMNS)]
    own = isinstance(task, FunctionTask) and bool(known)
    if not own:
        known += [name for name in METRICS if name.startswith("val_")]
    metric = metric_of(target.metric, declared) if target.metric in known else None
    if metric is None:
        hint = did_you_mean(target.metric, known)
        if isinstance(task, TaskSpec) and target.metric.startswith("ema_"):
            hint = "Set task.ema, the decay of the average of the weights, for example 0.999."
        message = "is not one of task.metrics" if own else "is not a validation metric"
        troubles.append(Trouble("target.metric", message, hint, target.metric))
    elif target.values is not None:
        if not target.values:
            remedy = "Name a level, or leave values out to derive them from the reference."
            troubles.append(Trouble("target.values", "is empty", remedy, []))
        for index, value in enumerate(target.values):
            if not metric.low <= value <= metric.high:
                message = f"is outside the range of {metric.name}, {metric.low:g} to {metric.high:g}"
                remedy = "Give a level that the metric can take."
                troubles.append(Trouble(f"target.values[{index}]", message, remedy, value))
            elif value in target.values[:index]:
                remedy = "Name each level once."
                troubles.append(Trouble(f"target.values[{index}]", "is there already", remedy, value))
    if target.reference and names and target.reference not in names:
        hint = did_you_mean(target.reference, names)
        troubles.append(
            Trouble("target.reference", "is not a schedule of this study", hint, target.reference)
        )
    if target.reference or not schedules:
        return target
    default = "fixed" if "fixed" in names else schedules[0].name
    return target.model_copy(update={"reference": default})
