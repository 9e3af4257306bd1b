"""A schedule's curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrstudy.cli.pictures import BLUE, picture_problems, save_picture
from lrstudy.errors import InputError
from lrstudy.schedules import curve
from lrstudy.spec.overrides import apply_overrides

STEPS_PER_EPOCH = 20


def draw_curve(kind: str, overrides: Sequence[str], epochs: int, path: Path) -> None:
    """Draw the rate of every step of a training into a PNG or SVG file.

    Raises ``InputError`` for parameters that cannot be used, a schedule without a curve, or a path that
    cannot be written.
    """
    from matplotlib.figure import Figure

    params: dict[str, Any] = {}
    problems = apply_overrides(params, overrides)
    problems += picture_problems("--plot", path)
    if problems:
        raise InputError(problems)
    found = curve(kind, params, epochs, STEPS_PER_EPOCH)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.epochs, found.rates, color=BLUE)
    axes.set_xlabel("epochs")
    axes.set_ylabel("learning rate")
    axes.set_title(kind, loc="left")
    axes.grid(alpha=0.25)
    save_picture(figure, "--plot", path)
