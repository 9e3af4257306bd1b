"""``lrstudy export``: a run's tables as single files for other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import one_of
from lrstudy.cli.options import RunArgument


@app.command()
def export(
    run: RunArgument,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, parquet or json.",
            show_default=False,
            autocompletion=one_of("csv", "parquet", "json"),
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of the two files; default exports/<study>."),
    ] = None,
) -> None:
    """Write a run's tables as trials.FORMAT and evaluations.FORMAT."""
    from lrstudy.store import export_store, open_location, open_store, study_folder

    store = open_store(run)
    folder = open_location(out) if out else study_folder(open_location("exports"), store.study.name)
    for file in export_store(store, folder, file_format):
        typer.echo(file)
