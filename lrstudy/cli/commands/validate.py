"""``lrstudy validate``: the problems of study files and their parts, found without running them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import study_files
from lrstudy.cli.options import JsonOption, SetOption
from lrstudy.errors import InputError


@app.command()
def validate(
    studies: Annotated[
        list[Path],
        typer.Argument(
            metavar="STUDY...", help="Study files (TOML).", show_default=False, autocompletion=study_files
        ),
    ],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check study files and everything they name: all problems at once, each with its line and its remedy.

    Loads the data and the study's own modules, builds its model, loss, optimizer and schedules, and takes
    your own schedules through a whole training. Finds every problem that would stop a run, except those of
    the machine.
    """
    from lrstudy.cli.views.validate import check_data, check_file, show_checks
    from lrstudy.rules.surroundings import output_to_stderr

    with output_to_stderr():  # users' code may print
        checks = {str(path): check_file(path, set_ or []) for path in studies}
    problems = [problem for checked in checks.values() for problem in checked.problems]
    if as_json:
        typer.echo(json.dumps(check_data(checks), indent=2))
        if problems:
            raise typer.Exit(InputError.exit_code)
        return
    show_checks(checks)
    if problems:
        raise InputError(problems)
