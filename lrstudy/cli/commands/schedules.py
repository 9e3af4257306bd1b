"""``lrstudy schedules``: every schedule with its parameters, and its curve as numbers or as a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import schedule_names
from lrstudy.cli.options import JsonOption
from lrstudy.errors import InputError, Problem, did_you_mean


@app.command()
def schedules(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One schedule, or your own as module:attribute; without it, all.",
            show_default=False,
            autocompletion=schedule_names,
        ),
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
    if name is None:
        _all(set_ or [], plot, epochs, as_json)
    else:
        _one(name, set_ or [], plot, epochs, as_json)


def _all(overrides: list[str], plot: Path | None, epochs: int, as_json: bool) -> None:
    from lrstudy.catalog.schedule_kinds import SCHEDULES
    from lrstudy.cli.views.schedules import draw_all_curves, schedule_data, show_schedules

    if overrides:
        remedy = "Name a schedule: lrstudy schedules NAME --set KEY=VALUE."
        raise InputError(Problem("command line", "--set", "belongs to one schedule", remedy, overrides[0]))
    if plot is not None:
        draw_all_curves(epochs, plot)
    if as_json:
        typer.echo(json.dumps([schedule_data(component) for component in SCHEDULES.values()], indent=2))
    elif plot is not None:
        typer.echo(f"drawn: {plot}")
    else:
        show_schedules()


def _option(name: str, overrides: list[str], plot: Path | None, as_json: bool) -> None:
    from lrstudy.catalog.moved_options import MOVED_OPTIONS
    from lrstudy.cli.views.schedules import option_data, show_option

    if overrides or plot is not None:
        remedy = f"Name a schedule: lrstudy schedules cosine --set {name}.from=… --set {name}.to=…"
        raise InputError(Problem("command line", "NAME", "has no curve without a schedule", remedy, name))
    if as_json:
        typer.echo(json.dumps(option_data(MOVED_OPTIONS[name]), indent=2))
    else:
        show_option(name)


def _one(name: str, overrides: list[str], plot: Path | None, epochs: int, as_json: bool) -> None:
    from lrstudy.catalog.moved_options import MOVED_OPTIONS
    from lrstudy.catalog.schedule_kinds import SCHEDULES
    from lrstudy.cli.views.schedules import draw_curve, read_curve, schedule_data, show_rates, show_schedule

    own = ":" in name
    if name in MOVED_OPTIONS:
        _option(name, overrides, plot, as_json)
        return
    if not own and name not in SCHEDULES:
        remedy = did_you_mean(name, sorted(SCHEDULES)) + " Your own: module:attribute."
        raise InputError(Problem("command line", "NAME", "is not a schedule", remedy, name))
    rates = read_curve(name, overrides, epochs, plot) if own or overrides or plot is not None else None
    if rates is not None and plot is not None:
        draw_curve(rates, plot)
    if as_json:
        data = {"name": name} if own else schedule_data(SCHEDULES[name])
        typer.echo(json.dumps(data | ({"curve": rates.to_json()} if rates else {}), indent=2))
    elif plot is not None:
        typer.echo(f"drawn: {plot}")
    elif rates is not None:
        show_rates(rates)
    else:
        show_schedule(name)
