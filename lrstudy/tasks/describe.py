"""The parts that a task can be made of, as plain data for a table or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lrstudy.catalog import REQUIRED, Component
from lrstudy.catalog.augmentations import AUGMENTATIONS
from lrstudy.catalog.parameter_counts import PARAMETER_COUNTS
from lrstudy.catalog.task_parts import (
    CLASSIFICATION_LOSSES,
    DATASETS,
    LOSSES,
    MODELS,
    NORMALIZATIONS,
    OPTIMIZERS,
)
from lrstudy.catalog.torchvision_names import TORCHVISION_MODELS
from lrstudy.rules.metrics import METRICS
from lrstudy.tasks.fetch import list_data

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
    """Return all built-in parts with their options; a model's ``parameters`` are its counts per data set."""
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
        "models": [
            _part(component) | {"parameters": dict(PARAMETER_COUNTS[name])}
            for name, component in MODELS.items()
        ],
        "torchvision_models": sorted(TORCHVISION_MODELS),
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
