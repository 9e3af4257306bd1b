"""``lrstudy status``: how far a run is, from its store alone."""

from __future__ import annotations

import contextlib
import json
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption, RunArgument


@app.command()
def status(
    run: RunArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Keep it up to date until the run ends.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how far a run is: trials done per schedule and phase, best values, trials lost, time left."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.status import standing_of, standing_page, watch_run
    from lrstudy.store import open_store

    if watch and not as_json:
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to end watching
            watch_run(console(), run)
        return
    standing = standing_of(open_store(run))
    if as_json:
        typer.echo(json.dumps(standing.to_json(), indent=2))
    else:
        console().print(standing_page(standing))
