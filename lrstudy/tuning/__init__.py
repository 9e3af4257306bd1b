"""Studies on Ray Tune: the only room that imports Ray."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrstudy.tuning.faults import to_retry
    from lrstudy.tuning.logs import log_file
    from lrstudy.tuning.preparation import Prepared, prepare
    from lrstudy.tuning.progress import Progress, ScheduleProgress
    from lrstudy.tuning.runner import StudyRun
    from lrstudy.tuning.stopping import request_stop

__all__ = [
    "Prepared",
    "Progress",
    "ScheduleProgress",
    "StudyRun",
    "log_file",
    "prepare",
    "request_stop",
    "to_retry",
]

_LAZY = {
    "Prepared": "preparation",
    "Progress": "progress",
    "ScheduleProgress": "progress",
    "StudyRun": "runner",
    "log_file": "logs",
    "prepare": "preparation",
    "request_stop": "stopping",
    "to_retry": "faults",
}


def __getattr__(name: str) -> Any:
    # A worker imports the modules that it runs, and must not wait for the driver's.
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
