"""The schedules with their parameters and defaults, and their curves as numbers and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lrstudy.catalog import REQUIRED, Component
from lrstudy.catalog.moved_options import MOVED_OPTIONS, flat_moves, refusal
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.cli.output import BLUE, console, figure_problems, save_figure
from lrstudy.cli.terminal_table import names, numbers, table, words
from lrstudy.errors import InputError
from lrstudy.rules.surroundings import output_to_stderr
from lrstudy.spec.overrides import apply_overrides

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

    from lrstudy.schedules import Curve

STEPS_PER_EPOCH: Final = 20
_ACROSS: Final = 3


def show_schedules() -> None:
    """Print a line for each schedule."""
    rows = [(component.name, component.doc) for component in SCHEDULES.values()]
    console().print(table([names("schedule"), words("what it does")], rows))
    screen = console()
    screen.print('\nOne with its parameters: lrstudy schedules NAME. Your own: "module:attribute".')
    screen.print("Momentum and weight decay can move beside the rate: lrstudy schedules momentum.")


def show_schedule(name: str) -> None:
    """Print a schedule with its source, and a line for each parameter."""
    component, screen = SCHEDULES[name], console()
    screen.print(f"{component.name}: {component.doc}", markup=False)
    if component.source:
        screen.print(f"source: {component.source}", markup=False)
    data = schedule_data(component)
    screen.print(_parameters(data["parameters"]))
    rows = [(option, text or MOVED_OPTIONS[option].doc) for option, text in data["beside"].items()]
    screen.print()
    screen.print(table([names("beside the rate"), words("what moves, or why it does not")], rows))


def show_option(name: str) -> None:
    """Print an option that moves beside the rate, and a line for each of its parameters."""
    option, screen = MOVED_OPTIONS[name], console()
    screen.print(f"{option.name}: {option.doc} It moves beside the rate of a schedule.", markup=False)
    screen.print(_parameters(option_data(option)["parameters"]))


def _parameters(entries: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (entry["name"], "–" if entry["default"] is None else str(entry["default"]), entry["doc"])
        for entry in entries
    ]
    return table([names("parameter"), names("default"), words("what it is")], rows)


def show_rates(rates: Curve) -> None:
    """Print the rate, and what moves beside it, at about ten steps, from the first to the last."""
    last = len(rates.rates) - 1
    places = sorted({round(part * last / 10) for part in range(11)})
    columns = [rates.epochs, rates.rates, *rates.options.values()]
    rows = [tuple(f"{column[place]:.4g}" for column in columns) for place in places]
    headers = [numbers(title) for title in ("epochs done", "rate", *rates.options)]
    console().print(table(headers, rows))


def schedule_data(component: Component) -> dict[str, Any]:
    """Return a schedule with its parameters as plain data.

    ``beside`` has each option that may move beside the rate, with the reason if it may not here.
    """
    return option_data(component) | {
        "beside": {option: refusal(component, option) for option in MOVED_OPTIONS}
    }


def option_data(component: Component) -> dict[str, Any]:
    """Return a component with its parameters as plain data."""
    return {
        "name": component.name,
        "doc": component.doc,
        "source": component.source,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "default": _default(parameter.default),
                "choices": list(parameter.choices),
                "tunable": parameter.tunable,
                "doc": parameter.doc,
            }
            for parameter in component.parameters
        ],
    }


def _default(value: object) -> object:
    """Return a default as a study file would give it."""
    if value is REQUIRED:
        return "required"
    return list(value) if isinstance(value, tuple) else value


def read_curve(kind: str, overrides: Sequence[str], epochs: int, plot: Path | None) -> Curve:
    """Return the rate at every step of a training, for parameters given as ``key=value``.

    Raises ``InputError`` for parameters that cannot be used, a schedule without a curve, or a figure's file
    that cannot be written.
    """
    params: dict[str, Any] = {}
    problems = apply_overrides(params, overrides)
    if plot is not None:
        problems += figure_problems("--plot", plot)
    if problems:
        raise InputError(problems)
    from lrstudy.schedules import curve

    if ":" in kind:
        from lrstudy.rules.child_import import ChildImport
        from lrstudy.rules.user_modules import UserCode
        from lrstudy.tuning.start import make_importable

        with ChildImport([UserCode(kind, "command line", "NAME")], [Path.cwd()]) as imported:
            if problems := imported.problems():
                raise InputError(problems)
        make_importable([Path.cwd()])
    with output_to_stderr():  # users' code may print
        return curve(kind, dict(flat_moves(params, own=":" in kind)), epochs, STEPS_PER_EPOCH)


def draw_curve(rates: Curve, path: Path) -> None:
    """Draw a curve into a PNG or SVG file; raises ``InputError`` if the file cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    down = 1 + len(rates.options)
    figure.set_size_inches(7, 3.5 + 1.5 * len(rates.options))
    heights = [2.0] + [1.0] * len(rates.options)
    panels = figure.subplots(down, 1, sharex=True, squeeze=False, height_ratios=heights).flat
    _draw(panels[0], rates)
    panels[0].set_ylabel("learning rate")
    for axes, (option, values) in zip(list(panels)[1:], rates.options.items(), strict=True):
        axes.plot(rates.epochs, values, color=BLUE)
        axes.set_ylabel(option.replace("_", " "))
        axes.grid(alpha=0.25)
    panels[down - 1].set_xlabel("epochs")
    save_figure(figure, "--plot", path)


def draw_all_curves(epochs: int, path: Path) -> None:
    """Draw the curves of all schedules that have one, with their defaults, side by side."""
    from matplotlib.figure import Figure

    from lrstudy.schedules import curve, has_curve

    if problems := figure_problems("--plot", path):
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
    save_figure(figure, "--plot", path)


def _draw(axes: Axes, rates: Curve) -> None:
    axes.plot(rates.epochs, rates.rates, color=BLUE)
    axes.set_title(rates.kind, loc="left", fontsize="medium", parse_math=False)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
