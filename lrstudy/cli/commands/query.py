"""``lrstudy query``: SQL over a run's tables."""

from __future__ import annotations

from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import one_of
from lrstudy.cli.options import RunArgument


@app.command()
def query(
    run: RunArgument,
    sql: Annotated[
        str,
        typer.Argument(metavar="SQL", help="One SELECT over trials and evaluations.", show_default=False),
    ],
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, csv or json.",
            autocompletion=one_of("table", "csv", "json"),
        ),
    ] = "table",
) -> None:
    """Query a run's tables, trials and evaluations, with SQL; needs DuckDB, an optional extra."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.query import check_format, show_result
    from lrstudy.store import open_store, query_store

    check_format(file_format)
    show_result(console(), query_store(open_store(run), sql), file_format)
