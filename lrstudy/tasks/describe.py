"""The parts that a task can be made of, as plain data for a table or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lrstudy.catalog import REQUIRED, Component
from lrstudy.catalog.task_parts import (
    AUGMENTATIONS,
    CLASSIFICATION_LOSSES,
    DATASETS,
    LOSSES,
    MODELS,
    NORMALIZATIONS,
    OPTIMIZERS,
)
from lrstudy.rules.metrics import METRICS
from lrstudy.tasks.fetch import list_data
from lrstudy.tasks.models.model_registry import FOR_IMAGES, count_of
from lrstudy.tasks.models.torchvision_models import torchvision_names

SHAPES: Final[Mapping[str, tuple[tuple[int, ...], int | None]]] = MappingProxyType(
    {
        "digits": ((1, 8, 8), 10),
        "iris": ((4,), 3),
        "wine": ((13,), 3),
        "breast-cancer": ((30,), 2),
        "diabetes": ((10,), None),
        "mnist": ((1, 28, 28), 10),
        "fashion-mnist": ((1, 28, 28), 10),
        "cifar10": ((3, 32, 32), 10),
        "cifar100": ((3, 32, 32), 100),
    }
)
"""The shape of a row and the number of classes (None: a number to predict) of every data set."""


def describe_tasks(root: Path | None = None) -> dict[str, Any]:
    """All built-in parts with their options; a model's ``parameters`` count what it trains per data set."""
    states = {state.name: state for state in list_data(root)}
    return {
        "datasets": [
            _part(component)
            | {
                "input_shape": list(SHAPES[name][0]),
                "classes": SHAPES[name][1],
                "state": states[name].state,
            }
            for name, component in DATASETS.items()
        ],
        "models": [_part(component) | {"parameters": _counts(component)} for component in MODELS.values()],
        "torchvision_models": sorted(torchvision_names()),
        "losses": [
            _part(component) | {"classification": name in CLASSIFICATION_LOSSES}
            for name, component in LOSSES.items()
        ],
        "optimizers": [_part(component) for component in OPTIMIZERS.values()],
        "augmentations": [_part(component) for component in AUGMENTATIONS.values()],
        "normalizations": [_part(component) for component in NORMALIZATIONS.values()],
        "metrics": [
            {"name": name, "higher_is_better": metric.higher_is_better} for name, metric in METRICS.items()
        ],
    }


def _part(component: Component) -> dict[str, Any]:
    return {
        "name": component.name,
        "doc": component.doc,
        "source": component.source,
        "options": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "doc": parameter.doc,
                "required": parameter.default is REQUIRED,
                "default": None if parameter.default is REQUIRED else parameter.default,
            }
            for parameter in component.parameters
        ],
    }


def _counts(component: Component) -> dict[str, int]:
    """Trainable parameters with default options, on each data set that the model suits."""
    options = {parameter.name: parameter.default for parameter in component.parameters}
    return {
        name: count_of(component.name, shape, outputs, options)
        for name, (shape, classes) in SHAPES.items()
        if (outputs := _outputs(component.name, shape, classes)) is not None
    }


def _outputs(model: str, shape: tuple[int, ...], classes: int | None) -> int | None:
    if model in FOR_IMAGES and (len(shape) != 3 or shape[1] < 28):
        return None
    match model, classes:
        case ("linear-regression" | "mlp", None):
            return 1
        case ("logistic-regression", 2):
            return 1  # with binary cross-entropy
        case ("linear-regression" | "logistic-regression", _):
            return None
    return classes
