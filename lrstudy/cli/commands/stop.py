"""``lrstudy stop``: ask a running study to end, from any shell."""

from __future__ import annotations

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import RunArgument
from lrstudy.errors import Problem, StoreError

_UNSAVED = "a training function that keeps nothing (trial.keep) trains to the end of its trial"


@app.command()
def stop(run: RunArgument) -> None:
    """Stop a running study after the next evaluations; its exit code is 3. lrstudy resume continues it.

    A training function is stopped after its running step, with several workers after its next report. One
    that keeps nothing cannot be saved and trains to the end of its trial; a second stop ends it, and its work
    is lost.
    """
    from lrstudy.store import open_store, writer_of
    from lrstudy.tuning.stop_request import request_stop

    store = open_store(run)
    location = store.location
    if writer_of(location) is None:
        remedy = "lrstudy status shows its progress; lrstudy resume continues it."
        raise StoreError(Problem(run, "", "no study is running here", remedy))
    again = request_stop(location)
    if "train" not in store.study.spec.get("task", {}):
        typer.echo("asked to stop: running trials end after their next evaluation")
    elif again:
        typer.echo("asked to stop now: trials that keep nothing lose their work")
    else:
        typer.echo("asked to stop: running steps end first")
        typer.echo(f"{_UNSAVED};\na second lrstudy stop ends it, and its work is lost")
