"""``lrstudy data``: the data sets on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import App, app
from lrstudy.cli.options import JsonOption, RootOption
from lrstudy.rules.counting import counted

data = App(no_args_is_help=True, help="List, fetch and verify the data sets on this machine.")
app.add_typer(data, name="data")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A data set.", show_default=False)]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="DIR", help="Take the original files from this folder; no network."),
]


@data.command("list")
def list_(root: RootOption = None, as_json: JsonOption = False) -> None:
    """List every data set and whether it is there."""
    from rich.table import Table

    from lrstudy.cli.output import console
    from lrstudy.tasks.fetch import list_data

    states = list_data(root)
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2, default=str))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for heading in ("data set", "state", "what it is"):
        table.add_column(heading, no_wrap=heading != "what it is")
    for state in states:
        table.add_row(state.name, state.state, state.doc)
    console().print(table)


@data.command()
def fetch(name: NameArgument, root: RootOption = None, source: FromOption = None) -> None:
    """Put a data set in place: from the network, or from a folder with its original files."""
    from lrstudy.tasks.fetch import fetch_data

    fetched = fetch_data(name, root, source)
    done = "was there already" if fetched.already else "fetched"
    where = f" in {fetched.folder}" if fetched.folder else " (comes with scikit-learn)"
    typer.echo(f"{fetched.name}: {done}, {counted(len(fetched.files), 'file')} verified{where}")


@data.command()
def verify(name: NameArgument, root: RootOption = None) -> None:
    """Check every file of a data set against its checksum."""
    from lrstudy.tasks.fetch import verify_data

    verified = verify_data(name, root)
    where = f" in {verified.folder}" if verified.folder else " (comes with scikit-learn)"
    typer.echo(f"{verified.name}: {counted(len(verified.files), 'file')} verified{where}")
