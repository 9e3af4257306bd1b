"""``lrstudy rerun``: one trial repeated and compared with its record."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import trial_ids
from lrstudy.cli.options import JsonOption, ModulesOption, RunArgument
from lrstudy.errors import EXIT_TRIALS_FAILED


@app.command()
def rerun(
    run: RunArgument,
    trial: Annotated[
        str,
        typer.Argument(
            metavar="TRIAL",
            help="A trial's id, e.g. fixed-tune-007.",
            show_default=False,
            autocompletion=trial_ids,
        ),
    ],
    modules: ModulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat one trial here, without Ray, and compare it with its record: exit code 1 if they differ."""
    from lrstudy.cli.views.run import stored_study
    from lrstudy.rules.surroundings import output_to_stderr
    from lrstudy.tuning.repeat import repeat

    store, study = stored_study(run)
    with output_to_stderr():  # users' code may print
        comparison = repeat(store, study, trial, (*(modules or []), Path.cwd()))
    if as_json:
        typer.echo(json.dumps({**asdict(comparison), "same": comparison.same}, indent=2))
    else:
        typer.echo(str(comparison))
    if not comparison.same:
        raise typer.Exit(EXIT_TRIALS_FAILED)
