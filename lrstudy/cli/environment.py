"""Environment variables, warnings and the current folder, checked and corrected before a command starts."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

from lrstudy.errors import InputError, Problem


def settle_environment() -> None:
    """Override variables that other programs set for themselves, in this process and its children."""
    # A notebook's backend draws into its cells; lrstudy draws into files.
    os.environ["MPLBACKEND"] = "agg"
    # A matplotlibrc in the current folder or the home would change figures, or require LaTeX.
    os.environ["MATPLOTLIBRC"] = os.devnull
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports where it caches its fonts
    # People set this to find warnings in code that they wrote; a library's warning would end a study.
    if "error" in os.environ.get("PYTHONWARNINGS", ""):
        del os.environ["PYTHONWARNINGS"]
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)


def check_folder() -> None:
    """Raise ``InputError`` if the current folder was deleted or cannot be read."""
    try:
        Path.cwd()
    except OSError as error:
        remedy = "Change to a folder that exists, for instance your home."
        message = f"was deleted or may not be read ({error.strerror})"
        raise InputError(Problem("the current folder", "", message, remedy)) from error
