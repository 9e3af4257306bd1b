"""``lrstudy publish``: a run's store where others can read it."""

from __future__ import annotations

from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import RunArgument


@app.command()
def publish(
    run: RunArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="PLACE",
            help="Folder or URI (s3://bucket/study), new or with an earlier copy of this run.",
            show_default=False,
        ),
    ],
) -> None:
    """Copy a run's store to a place where others read it, with a page on what it found."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.publish import publish_run

    publish_run(console(), run, to)
