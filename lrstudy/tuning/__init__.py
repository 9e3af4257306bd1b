"""Studies on Ray Tune; besides ``compat``, the only package that imports Ray."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrstudy.tuning.driver.retries import to_retry
    from lrstudy.tuning.driver.runner import StudyRun
    from lrstudy.tuning.run_log import log_file
    from lrstudy.tuning.start import Prepared, prepare
    from lrstudy.tuning.stop_request import request_stop

__all__ = [
    "Prepared",
    "StudyRun",
    "log_file",
    "prepare",
    "request_stop",
    "to_retry",
]

_LAZY = {
    "Prepared": "start",
    "StudyRun": "driver.runner",
    "log_file": "run_log",
    "prepare": "start",
    "request_stop": "stop_request",
    "to_retry": "driver.retries",
}


def __getattr__(name: str) -> Any:
    # A worker imports only the modules that it runs, and must not wait for the driver's.
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
