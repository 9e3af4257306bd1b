"""Packages of trackers: imported on use, with one message where one is not installed."""

from __future__ import annotations

import importlib
from typing import Any

from lrstudy.errors import InputError, Problem


def load_package(module: str, extra: str, where: str) -> Any:
    """Return a module of a tracker's package; raises ``InputError`` with the extra that installs it.

    Without ``extra`` the package is one that lrstudy needs itself.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        message = f"needs the package {package}, which is not installed"
        missing = (error.name or "").partition(".")[0]
        if missing not in ("", package):
            message = f"needs the package {package}, which cannot be imported without {missing}"
        wanted = f"'lrstudy[{extra}]'" if extra else package
        remedy = f"Install it: pip install {wanted}"
        raise InputError(Problem(where, "", message, remedy)) from error
