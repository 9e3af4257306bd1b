"""``lrstudy check``: a study's training on a few steps, before the study is paid for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption, SetOption, StudyArgument
from lrstudy.errors import InputError

StepsOption = Annotated[
    int, typer.Option(min=2, help="Optimizer steps of each short training; their evaluations come on top.")
]
LimitOption = Annotated[float, typer.Option(min=1, metavar="SECONDS", help="End the check after this time.")]


@app.command()
def check(
    study: StudyArgument,
    steps: StepsOption = 20,
    limit: LimitOption = 600,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a few steps of a study several times, and tell what would spoil its results.

    Checks that the seed repeats and matters, that each step takes the schedule's rate, that a checkpoint
    continues bit by bit, that evaluations are not counted as training, that a NaN counts as divergence, that
    memory is enough; says how long the study takes. The exit code is 2 if it finds a problem.
    """
    from lrstudy.cli.output import console
    from lrstudy.cli.views.check import check_data, show_check
    from lrstudy.cli.views.validate import check_file, show_warnings
    from lrstudy.rules.surroundings import output_to_stderr
    from lrstudy.spec import load_study
    from lrstudy.tuning.check_child import check_in_child

    with output_to_stderr():  # users' code may print
        checked = check_file(study, set_ or [])
    if checked.problems:
        raise InputError(checked.problems)
    show_warnings(checked.warnings)
    folders = (study.resolve().parent, Path.cwd())
    result = check_in_child(study, set_ or [], folders, steps=steps, limit=limit)
    spec = load_study(study, set_ or [])
    if as_json:
        typer.echo(json.dumps(check_data(spec, steps, result), indent=2))
    else:
        show_check(console(), spec, steps, result)
    if result.problems:
        raise typer.Exit(InputError.exit_code)
