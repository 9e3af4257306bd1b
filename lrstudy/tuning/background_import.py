"""Imports that go on while the main thread waits for something else."""

from __future__ import annotations

import contextlib
import importlib
from threading import Thread


def import_meanwhile(*modules: str) -> None:
    """Begin to import modules in a thread and return; whoever imports them later waits for the rest.

    They must not import, in turn, what the main thread imports meanwhile: Python would hand one of the two
    a module that is only half there. What an import raises is raised to whoever imports the module later.
    """

    def go() -> None:
        for module in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)

    Thread(target=go, name="imports", daemon=True).start()
