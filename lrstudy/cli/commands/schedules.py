"""``lrstudy schedules``: every schedule with its parameters, and its curve as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption
from lrstudy.errors import InputError, Problem, did_you_mean

if TYPE_CHECKING:
    from lrstudy.catalog import Component
    from lrstudy.schedules import Curve


@app.command()
def schedules(
    name: Annotated[
        str | None,
        typer.Argument(help="One schedule, or your own module:attribute; else all.", show_default=False),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the curve; repeatable."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw its curve, or all curves, into this PNG or SVG file."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Training length of the curve.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """List the schedules with their parameters, defaults and sources; show and draw a schedule's curve."""
    from lrstudy.catalog.schedule_kinds import SCHEDULES

    if name is None:
        _all(list(SCHEDULES.values()), set_ or [], plot, epochs, as_json)
        return
    own = ":" in name
    if not own and name not in SCHEDULES:
        remedy = did_you_mean(name, sorted(SCHEDULES)) + " Your own: module:attribute."
        raise InputError(Problem("command line", "NAME", "is not a schedule", remedy, name))
    found = None
    if own or set_ or plot is not None:
        from lrstudy.cli.views.schedules import draw_curve, read_curve

        found = read_curve(name, set_ or [], epochs, plot)
        if plot is not None:
            draw_curve(found, plot)
    data = {"name": name} if own else _plain(SCHEDULES[name])
    if as_json:
        typer.echo(json.dumps(data | ({"curve": found.to_json()} if found else {}), indent=2))
        return
    if plot is not None:
        typer.echo(f"drawn: {plot}")
    elif found is not None:
        _show_rates(found)
    else:
        _one(SCHEDULES[name])


def _all(
    components: list[Component], overrides: list[str], plot: Path | None, epochs: int, as_json: bool
) -> None:
    if overrides:
        remedy = "Name a schedule: lrstudy schedules NAME --set KEY=VALUE."
        raise InputError(Problem("command line", "--set", "belongs to one schedule", remedy, overrides[0]))
    if plot is None:
        _overview(components, as_json)
        return
    from lrstudy.cli.views.schedules import draw_all_curves

    draw_all_curves(epochs, plot)
    if as_json:
        _overview(components, as_json)
    else:
        typer.echo(f"drawn: {plot}")


def _show_rates(found: Curve) -> None:
    """The rate at about ten steps, from the first to the last."""
    from rich.table import Table

    from lrstudy.cli.output import console

    last = len(found.rates) - 1
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("epochs done", justify="right")
    table.add_column("rate", justify="right")
    for place in sorted({round(part * last / 10) for part in range(11)}):
        table.add_row(f"{found.epochs[place]:.4g}", f"{found.rates[place]:.4g}")
    console().print(table)


def _overview(components: list[Component], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_plain(component) for component in components], indent=2))
        return
    from rich.table import Table

    from lrstudy.cli.output import console

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("schedule", no_wrap=True)
    table.add_column("what it does")
    for component in components:
        table.add_row(component.name, component.doc)
    console().print(table)
    console().print('\nOne with its parameters: lrstudy schedules NAME. Your own: "module:attribute".')


def _one(component: Component) -> None:
    from rich.table import Table

    from lrstudy.cli.output import console

    screen = console()
    screen.print(f"{component.name}: {component.doc}", markup=False)
    if component.source:
        screen.print(f"source: {component.source}", markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("parameter", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("what it is")
    for entry in _plain(component)["parameters"]:
        default = "–" if entry["default"] is None else str(entry["default"])
        table.add_row(entry["name"], default, entry["doc"])
    screen.print(table)


def _plain(component: Component) -> dict[str, Any]:
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
    """A default as a study file would have it."""
    from lrstudy.catalog import REQUIRED

    if value is REQUIRED:
        return "required"
    return list(value) if isinstance(value, tuple) else value
