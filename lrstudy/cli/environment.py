"""The surroundings of a command (variables, folder, warnings), corrected before it starts."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

from lrstudy.errors import InputError, Problem


def settle_environment() -> None:
    """Take back the variables that other programs set for themselves, here and for what starts from here."""
    # A notebook's backend draws into its cells; figures are drawn into files here.
    os.environ["MPLBACKEND"] = "agg"
    # A matplotlibrc in the current folder or the home would change figures, or ask for LaTeX.
    os.environ["MATPLOTLIBRC"] = os.devnull
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it is of no matter where it keeps its fonts
    # Set to find warnings in one's own code; those of the libraries would end a study.
    if "error" in os.environ.get("PYTHONWARNINGS", ""):
        del os.environ["PYTHONWARNINGS"]
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)


def check_folder() -> None:
    """Raise ``InputError`` where the current folder is gone."""
    try:
        Path.cwd()
    except OSError as error:
        remedy = "Change to a folder that exists, for instance your home."
        message = f"was deleted or may not be read ({error.strerror})"
        raise InputError(Problem("the current folder", "", message, remedy)) from error
