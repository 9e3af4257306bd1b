"""``lrstudy data``: the data sets on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import App, app
from lrstudy.cli.completion import data_sets
from lrstudy.cli.options import JsonOption, RootOption

data = App(no_args_is_help=True, help="List, fetch and verify the data sets on this machine.")
app.add_typer(data, name="data")

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A data set.", show_default=False, autocompletion=data_sets),
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Without a network: a folder with the original files, Parquet, folders by class or npz.",
    ),
]


@data.command("list")
def list_(root: RootOption = None, as_json: JsonOption = False) -> None:
    """List every data set and its state: shipped, present, incomplete or missing."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.data import show_data_sets
    from lrstudy.tasks.fetch import list_data

    states = list_data(root)
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2, default=str))
    else:
        show_data_sets(console(), states)


@data.command()
def fetch(name: NameArgument, root: RootOption = None, source: FromOption = None) -> None:
    """Put a data set in place: from the network, or from a folder with its files."""
    from lrstudy.cli.views.data import show_fetched
    from lrstudy.tasks.fetch import fetch_data

    show_fetched(fetch_data(name, root, source))


@data.command()
def verify(name: NameArgument, root: RootOption = None) -> None:
    """Check every file of a data set against its checksum."""
    from lrstudy.cli.views.data import show_verified
    from lrstudy.tasks.fetch import verify_data

    show_verified(verify_data(name, root))
