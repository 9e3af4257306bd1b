"""Imports in a background thread, while the main thread waits for Ray."""

from __future__ import annotations

import contextlib
import importlib
from threading import Thread


def import_in_background(*modules: str) -> None:
    """Start importing modules in a thread and return; a later import of one waits until it is complete.

    They must not import modules that the main thread imports at the same time: Python would give one of the
    two threads a partly initialized module. An error of an import is raised again by the later import.
    """

    def go() -> None:
        for module in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)

    Thread(target=go, name="imports", daemon=True).start()
