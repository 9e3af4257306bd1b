"""Pictures that a command draws into a file of the user's choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lrstudy.errors import InputError, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE = "#0072B2"
ORANGE = "#D55E00"


def picture_problems(option: str, path: Path) -> list[Problem]:
    """What keeps a picture from being written there, as far as that shows before it is drawn."""
    if path.suffix.lower() not in (".png", ".svg"):
        remedy = "Give one of these endings."
        return [Problem("command line", option, "is neither .png nor .svg", remedy, str(path))]
    if not path.absolute().parent.is_dir():
        remedy = "Make the folder, or choose another."
        return [Problem("command line", option, "lies in a folder that does not exist", remedy, str(path))]
    return []


def save_picture(figure: Figure, option: str, path: Path) -> None:
    """Write a figure as PNG or SVG; raises ``InputError`` where that is impossible."""
    try:
        figure.savefig(path, dpi=144)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        problem = Problem("command line", option, message, "Choose another path.", str(path))
        raise InputError(problem) from error
