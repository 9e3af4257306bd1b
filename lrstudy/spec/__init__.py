"""The study file: read, checked as a whole, and turned into frozen values. No torch, no Ray."""

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
