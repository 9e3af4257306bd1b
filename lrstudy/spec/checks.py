"""Checks across the sections of a study file: names that exist, values within their range."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lrstudy.catalog import RANGE_TEST, REQUIRED, Component
from lrstudy.catalog.schedule_kinds import OWN, SCHEDULES
from lrstudy.catalog.task_parts import (
    CLASSIFICATION_LOSSES,
    DATASETS,
    LOSSES,
    MODELS,
    NORMALIZATIONS,
    OPTIMIZERS,
    TORCHVISION,
    read_augmentation,
)
from lrstudy.catalog.torchvision_names import TORCHVISION_MODELS
from lrstudy.errors import all_known, did_you_mean, with_article
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
from lrstudy.spec.space import Choices, Range, Trouble, read_value, reference_troubles

# What a user's own schedule may call the rate that a range test is for.
RATES = ("max_lr", "lr")

_OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def check_schedules(raw: Any, troubles: list[Trouble], sweep: RangeTest | None = None) -> list[ScheduleSpec]:
    """Read ``[schedules.*]``; returns those that are sound and reports the rest.

    A rate that a range test finds gets the ends of the ``sweep`` until then.
    """
    if raw is None or raw == {}:
        troubles.append(
            Trouble("schedules", "there is no schedule", "Add one, for example [schedules.fixed].", None)
        )
        return []
    if not isinstance(raw, dict):
        troubles.append(
            Trouble("schedules", "must be tables", "Write [schedules.NAME] for each schedule.", raw)
        )
        return []
    found = [_schedule(name, table, troubles, sweep or RangeTest()) for name, table in raw.items()]
    return [schedule for schedule in found if schedule is not None]


def _schedule(name: str, table: Any, troubles: list[Trouble], sweep: RangeTest) -> ScheduleSpec | None:
    key = f"schedules.{name}"
    if not isinstance(table, dict):
        troubles.append(Trouble(key, "must be a table", f"Write [{key}] and its keys below it.", table))
        return None
    if not name.strip() or len(name) > 100 or re.search(r"[\x00-\x1f\x7f]", name):
        troubles.append(Trouble(key, "is not a usable name", "Use 1 to 100 printable characters.", name))
        return None
    kind = table.get("kind", name)
    own = isinstance(kind, str) and _OWN.fullmatch(kind) is not None
    if not own and (not isinstance(kind, str) or kind not in SCHEDULES):
        troubles.append(_unknown_kind(key, kind, given="kind" in table))
        return None
    component = None if own else SCHEDULES[kind]
    before = len(troubles)
    values = {
        k: Range(sweep.low, sweep.high, log=True, tested=True)
        if v == RANGE_TEST and _may_be_tested(k, component)
        else _read(f"{key}.{k}", k, v, component, troubles)
        for k, v in table.items()
        if k != "kind"
    }
    if component is not None:
        _require(key, component, table, troubles)
    if len(troubles) > before:
        return None
    space = {k: v for k, v in values.items() if isinstance(v, Range | Choices)}
    fixed = {k: v for k, v in values.items() if k not in space}
    troubles.extend(reference_troubles(key, space, fixed))
    if len(troubles) > before:
        return None
    return ScheduleSpec(name=name, kind=kind, fixed=fixed, space=space)


def _may_be_tested(name: str, component: Component | None) -> bool:
    """Return True if a range test may find a parameter's range; in a user's schedule, for any rate."""
    parameter = component.parameter(name) if component is not None else None
    return name in RATES if component is None else parameter is not None and bool(parameter.text_choices)


def _unknown_kind(key: str, kind: Any, *, given: bool) -> Trouble:
    known = sorted(SCHEDULES)
    if given:
        hint = did_you_mean(kind, known) if isinstance(kind, str) else all_known(known)
        return Trouble(
            f"{key}.kind", "is not a schedule", f'{hint} Your own: kind = "module:attribute".', kind
        )
    hint = did_you_mean(str(kind), known)
    return Trouble(key, "is not a schedule", f'{hint} Or give it a kind: kind = "fixed".', kind)


def _read(key: str, name: str, raw: Any, component: Component | None, troubles: list[Trouble]) -> Any:
    parameter = (component or OWN).parameter(name)
    if component is not None and parameter is None:
        known = [p.name for p in component.parameters]
        hint = did_you_mean(name, known) if known else f"Leave it out: {component.name} has no parameters."
        troubles.append(Trouble(key, f"is not a parameter of {component.name!r}", hint, raw))
        return None
    value = read_value(key, raw, parameter)
    if isinstance(value, list):  # a list of Trouble: values and spaces are never lists
        troubles.extend(value)
        return None
    return value


def _require(key: str, component: Component, given: Mapping[str, Any], troubles: list[Trouble]) -> None:
    for parameter in component.parameters:
        if parameter.default is REQUIRED and parameter.name not in given:
            message = f"is missing; {component.name!r} needs it"
            troubles.append(
                Trouble(f"{key}.{parameter.name}", message, f"{parameter.doc.rstrip('.')}.", None)
            )


def check_task(task: TaskSpec, troubles: list[Trouble]) -> TaskSpec:
    """Check that the task's parts exist and take the options they were given."""
    parts: dict[str, Mapping[str, Component]] = {
        "dataset": DATASETS,
        "model": MODELS,
        "loss": LOSSES,
        "optimizer": OPTIMIZERS,
    }
    for part, known in parts.items():
        component: ComponentSpec = getattr(task, part)
        key = f"task.{part}"
        if _is_open(part, component.name):
            continue
        if component.name not in known:
            own = ' Your own: "module:attribute".' if part in ("dataset", "model") else ""
            hint = did_you_mean(component.name, sorted(known)) + own
            troubles.append(Trouble(key, f"is not {with_article(part)}", hint, component.name))
            continue
        declared = known[component.name]
        for name, value in component.options.items():
            _option(f"{key}.{name}", name, value, declared, troubles)
        _require(key, declared, component.options, troubles)
    _check_torchvision(task.model, troubles)
    _check_preparation(task, troubles)
    return task


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


def _is_open(part: str, name: str) -> bool:
    """Return True if only the part's own code knows its options."""
    return part in ("dataset", "model") and (name.startswith(TORCHVISION) or _OWN.fullmatch(name) is not None)


def _option(key: str, name: str, value: Any, component: Component, troubles: list[Trouble]) -> None:
    parameter = component.parameter(name)
    if parameter is None:
        known = [p.name for p in component.parameters]
        hint = did_you_mean(name, known) if known else f"Leave it out: {component.name} has no options."
        troubles.append(Trouble(key, f"is not an option of {component.name!r}", hint, value))
    elif (message := parameter.problem(value)) is not None:
        troubles.append(Trouble(key, message, f"{parameter.doc.rstrip('.')}.", value))


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


def check_target(
    target: Target,
    schedules: Sequence[ScheduleSpec],
    raw: Any,
    troubles: list[Trouble],
    task: TaskSpec | FunctionTask | None = None,
) -> Target:
    """Check the metric, its levels and the reference; fills in the reference where none is named."""
    declared = {} if task is None else declared_metrics(task.declared)
    known = [name for name in declared if name != CLIPPED_SHARE]
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
    names = list(raw) if isinstance(raw, dict) else []
    if target.reference and names and target.reference not in names:
        hint = did_you_mean(target.reference, names)
        troubles.append(
            Trouble("target.reference", "is not a schedule of this study", hint, target.reference)
        )
    if target.reference or not schedules:
        return target
    default = "fixed" if "fixed" in names else schedules[0].name
    return target.model_copy(update={"reference": default})
