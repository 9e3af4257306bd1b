"""``lrstudy show``: one trial of a run, as a plot in the terminal, a PNG file or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import trial_ids
from lrstudy.cli.options import JsonOption, RunArgument
from lrstudy.errors import InputError, Problem


@app.command()
def show(
    run: RunArgument,
    trial: Annotated[
        str,
        typer.Argument(
            metavar="TRIAL",
            help="A trial's id, e.g. fixed-tune-007.",
            show_default=False,
            autocompletion=trial_ids,
        ),
    ],
    as_json: JsonOption = False,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw the curves into a PNG file instead.")
    ] = None,
) -> None:
    """Show one trial: its curves, parameters and end, where it diverged, and the run's log on it."""
    from lrstudy.cli.output import console, figure_problems
    from lrstudy.cli.views.show import draw_trial, print_trial
    from lrstudy.store import open_store
    from lrstudy.store.trial_history import read_trial

    if png is not None:
        problems = figure_problems("--png", png)
        if not problems and png.suffix.lower() != ".png":
            problems = [
                Problem("command line", "--png", "is no PNG file", "Give a name that ends with .png.", png)
            ]
        if problems:
            raise InputError(problems)
    store = open_store(run)
    history = read_trial(store, trial)
    if as_json:
        typer.echo(json.dumps(history.to_json(), indent=2, ensure_ascii=False))
    if png is not None:
        draw_trial(history, store.study, png)
        typer.echo(f"drawn: {png}", err=as_json)
    if png is None and not as_json:
        print_trial(console(), history, store.study)
