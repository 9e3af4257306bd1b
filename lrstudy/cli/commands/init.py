"""``lrstudy init``: a first study file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import shipped_names


@app.command()
def init(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="File to write; default study.toml.", show_default=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Copy a study that comes with lrstudy: digits, mnist, …",
            autocompletion=shipped_names,
        ),
    ] = None,
) -> None:
    """Write a first study file with comments, or a copy of a shipped one."""
    from lrstudy.spec.shipped import new_study, shipped_study, study_name, write_new

    place = file or Path(f"{(source or 'study').rpartition('/')[2]}.toml")
    files = shipped_study(source, place) if source is not None else new_study(study_name(place), place)
    for path in write_new(files, place.parent):
        typer.echo(f"written: {path}")
    typer.echo(f"next: lrstudy plan {shlex.quote(str(place))}")
