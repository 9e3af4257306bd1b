"""The start of Ray's own processes. Mirrors ``_private/services.py``, ``_private/utils.py`` of Ray 2.60."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

utils: Any
try:
    from ray._private import utils
except ImportError:  # moved: Ray's processes then get the signals of the driver's terminal too
    utils = None

# What a process of Ray calls on Linux between fork and exec, to end with the driver.
_HOOK: Final = "set_kill_on_parent_death_linux"


@contextmanager
def own_session() -> Iterator[None]:
    """Let what Ray starts in the block have a session of its own.

    A signal to the driver's process group, or of its terminal, is for the driver alone: it has running epochs
    end first, for which Ray must go on. Where Ray starts its processes otherwise, they get the signal too.
    """
    usual = getattr(utils, _HOOK, None)
    if usual is None:
        yield
        return

    def begin() -> None:
        usual()
        os.setsid()

    setattr(utils, _HOOK, begin)
    try:
        yield
    finally:
        setattr(utils, _HOOK, usual)
