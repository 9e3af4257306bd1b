"""The study file: read, checked as a whole, and turned into frozen values. No torch, no Ray."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrstudy.spec.function_task import FunctionTask
    from lrstudy.spec.load import load_study, parse_study, restore_study
    from lrstudy.spec.models import (
        Budget,
        ComponentSpec,
        Faults,
        Logging,
        RangeTest,
        Resources,
        ScheduleSpec,
        Study,
        Target,
        TaskSpec,
    )
    from lrstudy.spec.space import Choices, Range, Space

__all__ = [
    "Budget",
    "Choices",
    "ComponentSpec",
    "Faults",
    "FunctionTask",
    "Logging",
    "Range",
    "RangeTest",
    "Resources",
    "ScheduleSpec",
    "Space",
    "Study",
    "Target",
    "TaskSpec",
    "load_study",
    "parse_study",
    "restore_study",
]

_LAZY = {
    "Choices": "space",
    "FunctionTask": "function_task",
    "Range": "space",
    "Space": "space",
    "load_study": "load",
    "parse_study": "load",
    "restore_study": "load",
}


def __getattr__(name: str) -> Any:
    # Trials read hyperparameters by ``spec.hyperparameters`` on machines that lack pydantic.
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_LAZY.get(name, 'models')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
