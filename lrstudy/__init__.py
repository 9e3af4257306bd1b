"""lrstudy: which learning-rate schedule gets there first, and how sure are we?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrstudy.version import __version__

if TYPE_CHECKING:
    from lrstudy.engine.function import Trial, try_training
    from lrstudy.lipschitz import LipschitzLR
    from lrstudy.report.notebook import open_study
    from lrstudy.store import open_store

__all__ = ["LipschitzLR", "Trial", "__version__", "open_store", "open_study", "try_training"]

_LAZY = {
    "LipschitzLR": "lrstudy.lipschitz",
    "Trial": "lrstudy.engine.function",
    "open_store": "lrstudy.store",
    "open_study": "lrstudy.report.notebook",
    "try_training": "lrstudy.engine.function",
}


def __getattr__(name: str) -> Any:
    # Torch and pyarrow load when they are first needed: `lrstudy --help` must not pay for them.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
