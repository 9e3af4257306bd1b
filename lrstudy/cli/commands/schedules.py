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


@app.command()
def schedules(
    name: Annotated[
        str | None, typer.Argument(help="One schedule; all without it.", show_default=False)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter for --plot; repeatable."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the schedule's curve into this PNG or SVG file.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Training length of the curve.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """List the schedules with their parameters, defaults and sources; draw a schedule's curve."""
    from lrstudy.catalog.schedules import SCHEDULES

    if name is None:
        _overview(list(SCHEDULES.values()), as_json)
        return
    if name not in SCHEDULES:
        remedy = did_you_mean(name, sorted(SCHEDULES))
        raise InputError(Problem("command line", "NAME", "is not a schedule", remedy, name))
    component = SCHEDULES[name]
    if plot is None:
        _one(component, as_json)
        return
    from lrstudy.cli.curve import draw_curve

    draw_curve(name, set_ or [], epochs, plot)
    typer.echo(f"drawn: {plot}")


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
    console().print('\nParameters of one: lrstudy schedules NAME. Your own: kind = "my_module:attribute".')


def _one(component: Component, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_plain(component), indent=2))
        return
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
        table.add_row(entry["name"], str(entry["default"]), entry["doc"])
    screen.print(table)


def _plain(component: Component) -> dict[str, Any]:
    from lrstudy.catalog import REQUIRED

    return {
        "name": component.name,
        "doc": component.doc,
        "source": component.source,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "default": "required" if parameter.default is REQUIRED else parameter.default,
                "choices": list(parameter.choices),
                "tunable": parameter.tunable,
                "doc": parameter.doc,
            }
            for parameter in component.parameters
        ],
    }
