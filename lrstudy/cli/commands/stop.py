"""``lrstudy stop``: ask a running study to end, from any shell."""

from __future__ import annotations

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import RunArgument
from lrstudy.errors import Problem, StoreError


@app.command()
def stop(run: RunArgument) -> None:
    """Stop a running study after its running epochs; its exit code is 3. lrstudy resume continues it."""
    from lrstudy.store import open_store, writer_of
    from lrstudy.tuning.stop_request import request_stop

    location = open_store(run).location
    if writer_of(location) is None:
        remedy = "lrstudy status shows its progress; lrstudy resume continues it."
        raise StoreError(Problem(run, "", "no study is running here", remedy))
    request_stop(location)
    typer.echo("asked to stop: running epochs end first")
