"""``lrstudy status``: the progress of a run, from its store alone."""

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
    watch: Annotated[bool, typer.Option("--watch", help="Keep the page current until the run ends.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of a run: trials done per schedule and phase, best values, trials lost, time left."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.status import status_page, watch_run
    from lrstudy.store import open_store
    from lrstudy.store.run_status import read_status

    if watch and not as_json:
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to end --watch
            watch_run(console(), run)
        return
    current = read_status(open_store(run))
    if as_json:
        typer.echo(json.dumps(current.to_json(), indent=2))
    else:
        console().print(status_page(current))
