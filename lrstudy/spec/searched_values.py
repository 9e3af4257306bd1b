"""The values of a task that a study searches: their declarations, and their way into a trial's task."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lrstudy.catalog import Component, Parameter
from lrstudy.catalog.task_parts import LOSSES, MODELS, OPTIMIZERS
from lrstudy.rules.values import as_lists
from lrstudy.spec.hyperparameters import FUNCTION_OPTIONS, task_params

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec.function_task import FunctionTask
    from lrstudy.spec.models import ComponentSpec, Study, TaskSpec

    AnyTask: TypeAlias = TaskSpec | FunctionTask

OwnParts: TypeAlias = "Mapping[str, ComponentSpec]"
NO_PARTS: Final[OwnParts] = MappingProxyType({})

# The parts of a task whose options can be searched.
SEARCHED_PARTS: Final[Mapping[str, Mapping[str, Component]]] = MappingProxyType(
    {"optimizer": OPTIMIZERS, "model": MODELS, "loss": LOSSES}
)
# The other keys of [task] that can be searched.
TASK_KEYS: Final[Mapping[str, Parameter]] = MappingProxyType(
    {
        "batch_size": Parameter("batch_size", "int", "Rows per batch, at least 1", low=1),
        "accumulate": Parameter("accumulate", "int", "Batches per training step, at least 1", low=1),
        "clip_norm": Parameter(
            "clip_norm", "float", "Largest norm of a step's gradient, above 0", low=0.0, open_low=True
        ),
        "ema": Parameter(
            "ema",
            "float",
            "Decay of the average of the weights, in (0, 1)",
            low=0.0,
            high=1.0,
            open_low=True,
            open_high=True,
        ),
    }
)


def study_of_trial(study: Study, schedule: str, params: Mapping[str, Any]) -> Study:
    """Return the study that a trial trains: the task has its method's parts and length, and its values.

    The only place where a hyperparameter becomes a part of a task.
    """
    task = study.task
    method = next((spec for spec in study.schedules if spec.name == schedule), None)
    if method is not None and method.length is not None:
        task = task.model_copy(update={study.clock: method.length})
    if method is not None and method.own_parts:
        task = task.model_copy(update=method.own_parts)
    for name, value in task_params(params).items():
        task = _with_value(task, name, as_lists(value))
    return study if task is study.task else study.model_copy(update={"task": task})


def study_of_method(study: Study, schedule: str) -> Study:
    """Return the study as a method trains it before its search: with its parts and its fixed values."""
    method = next((spec for spec in study.schedules if spec.name == schedule), None)
    return study if method is None else study_of_trial(study, schedule, method.fixed)


def _with_value(task: AnyTask, name: str, value: Any) -> AnyTask:
    place, _, option = name.partition(".")
    if place in SEARCHED_PARTS:
        part: ComponentSpec = getattr(task, place)
        changed = part.model_copy(update={"options": {**part.options, option: value}})
        return task.model_copy(update={place: changed})
    if name.startswith(FUNCTION_OPTIONS):
        options = {**getattr(task, "options", {}), name.removeprefix(FUNCTION_OPTIONS): value}
        return task.model_copy(update={"options": options})
    # What the function reads from trial.params is no key of the task.
    return task.model_copy(update={option: value}) if place == "task" else task


def parameter_of(name: str, task: AnyTask, own_parts: OwnParts = NO_PARTS) -> Parameter | None:
    """Return the declaration of a searched value; None if only the user's own code knows it.

    ``own_parts`` are the method's, in place of the task's.
    """
    place, _, option = name.partition(".")
    if place == "task":
        return TASK_KEYS.get(option)
    part = part_of(place, task, own_parts)
    component = SEARCHED_PARTS[place].get(part.name) if part is not None else None
    return None if component is None else component.parameter(option)


def part_of(place: str, task: AnyTask, own_parts: OwnParts) -> ComponentSpec | None:
    """Return the part of the task that ``place`` names, the method's own before the task's."""
    if place in own_parts:
        return own_parts[place]
    part: ComponentSpec | None = getattr(task, place, None) if place in SEARCHED_PARTS else None
    return part
