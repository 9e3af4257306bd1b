"""Which source files are users' own."""

from __future__ import annotations

import functools
import sysconfig
from pathlib import Path
from typing import Final

LRSTUDY: Final = Path(__file__).resolve().parents[1]
"""The folder of lrstudy's own package."""


@functools.cache
def is_installed(file: str) -> bool:
    """Return True if a source file belongs to Python, to an installed package or to lrstudy."""
    if file.startswith("<frozen"):
        return True
    path = Path(file).resolve()
    installed = "site-packages" in path.parts or "dist-packages" in path.parts
    return installed or any(path.is_relative_to(folder) for folder in (LRSTUDY, *_python_folders()))


@functools.cache
def _python_folders() -> tuple[Path, ...]:
    return tuple({Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib")})
