"""Schedules' curves as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.cli.pictures import BLUE, picture_problems, save_picture
from lrstudy.errors import InputError
from lrstudy.rules.surroundings import output_to_stderr
from lrstudy.schedules import Curve, curve, has_curve
from lrstudy.spec.overrides import apply_overrides

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS_PER_EPOCH = 20
_ACROSS = 3


def read_curve(kind: str, overrides: Sequence[str], epochs: int, plot: Path | None) -> Curve:
    """The rate of every step of a training, for parameters given as ``key=value``.

    Raises ``InputError`` for parameters that cannot be used, a schedule without a curve, or a picture that
    cannot be drawn.
    """
    params: dict[str, Any] = {}
    problems = apply_overrides(params, overrides)
    if plot is not None:
        problems += picture_problems("--plot", plot)
    if problems:
        raise InputError(problems)
    if ":" in kind:
        from lrstudy.tuning.start import importable

        importable([Path.cwd()])
    with output_to_stderr():  # users' code may print
        return curve(kind, params, epochs, STEPS_PER_EPOCH)


def draw_curve(found: Curve, path: Path) -> None:
    """Draw a curve into a PNG or SVG file; raises ``InputError`` where it cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    _draw(axes, found)
    axes.set_xlabel("epochs")
    axes.set_ylabel("learning rate")
    save_picture(figure, "--plot", path)


def draw_all_curves(epochs: int, path: Path) -> None:
    """Draw the curves of all schedules that have one, with their defaults, side by side."""
    from matplotlib.figure import Figure

    if problems := picture_problems("--plot", path):
        raise InputError(problems)
    kinds = [kind for kind in SCHEDULES if has_curve(kind)]
    down = -(-len(kinds) // _ACROSS)
    figure = Figure(figsize=(9, 2.3 * down), layout="constrained")
    panels = figure.subplots(down, _ACROSS, sharex=True, squeeze=False).flat
    for axes, kind in zip(panels, kinds, strict=False):
        _draw(axes, curve(kind, {}, epochs, STEPS_PER_EPOCH))
    for axes in list(panels)[len(kinds) :]:
        axes.set_axis_off()
    figure.supxlabel("epochs", fontsize="medium")
    figure.supylabel("learning rate", fontsize="medium")
    save_picture(figure, "--plot", path)


def _draw(axes: Axes, found: Curve) -> None:
    axes.plot(found.epochs, found.rates, color=BLUE)
    axes.set_title(found.kind, loc="left", fontsize="medium", parse_math=False)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
