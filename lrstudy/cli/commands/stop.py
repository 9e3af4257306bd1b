"""``lrstudy stop``: ask a running study, or one of its schedules, to end, from any shell."""

from __future__ import annotations

from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import schedules_of_run
from lrstudy.cli.options import RunArgument
from lrstudy.errors import InputError, Problem


@app.command()
def stop(
    run: RunArgument,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="End one schedule only; the others go on, and it gets no verdict.",
            autocompletion=schedules_of_run,
        ),
    ] = None,
    undo: Annotated[
        bool,
        typer.Option("--undo", help="Take back that --schedule was stopped; lrstudy resume runs the rest."),
    ] = False,
) -> None:
    """Stop a running study after the next evaluations; its exit code is 3. lrstudy resume continues it.

    A training function is stopped after its running step, with several workers after its next report. One
    that keeps nothing cannot be saved and trains to the end of its trial; a second stop ends it, and its work
    is lost.
    """
    from lrstudy.cli.views.stop import stop_schedule, stop_study, undo_stop

    if schedule is None and undo:
        remedy = "Add --schedule NAME. A study that was stopped continues with lrstudy resume."
        raise InputError(Problem("command line", "--undo", "needs a schedule", remedy))
    if schedule is None:
        stop_study(run)
    elif undo:
        undo_stop(run, schedule)
    else:
        stop_schedule(run, schedule)
