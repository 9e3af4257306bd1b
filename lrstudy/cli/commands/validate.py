"""``lrstudy validate``: what is wrong with study files and their parts, without running them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import study_files
from lrstudy.cli.options import JsonOption, SetOption
from lrstudy.errors import NO_VALUE, InputError, Problem

if TYPE_CHECKING:
    from lrstudy.tuning.study_check import Checked


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
    """Check study files and all that they name: every problem at once, with its line and what to do.

    Loads the data and the study's own modules, builds its model, loss, optimizer and schedules, and takes own
    schedules through a whole training. Refuses all that run would, but for the machine.
    """
    from lrstudy.rules.surroundings import output_to_stderr

    with output_to_stderr():  # users' code may print
        found = {str(path): _check(path, set_ or []) for path in studies}
    problems = [problem for checked in found.values() for problem in checked.problems]
    if as_json:
        data = [
            {
                "study": name,
                "problems": [_plain(p) for p in checked.problems],
                **({"warnings": [_plain(p) for p in checked.warnings]} if checked.warnings else {}),
            }
            for name, checked in found.items()
        ]
        typer.echo(json.dumps(data, indent=2))
        if problems:
            raise typer.Exit(InputError.exit_code)
        return
    for name, checked in found.items():
        for warning in checked.warnings:
            typer.echo(f"warning: {warning}", err=True)
        if not checked.problems:
            typer.echo(f"{name}: ok")
        elif checked.lacks_only_data:
            typer.echo(f"{name}: its data are not here yet; nothing else was found wrong", err=True)
    if problems:
        raise InputError(problems)


def _check(path: Path, overrides: list[str]) -> Checked:
    """Check one study file; its parts are looked at once it is sound itself."""
    from lrstudy.spec import load_study
    from lrstudy.tuning.study_check import Checked

    try:
        study = load_study(path, overrides)
    except InputError as error:
        return Checked(None, error.problems, ())
    from lrstudy.cli.views.validate import check_parts
    from lrstudy.rules.user_modules import own_folders

    with own_folders([path.resolve().parent, Path.cwd()]):
        return check_parts(study, path)


def _plain(problem: Problem) -> dict[str, Any]:
    value = {} if problem.value is NO_VALUE else {"value": _json_value(problem.value)}
    return {
        "where": problem.where,
        "line": problem.line,
        "key": problem.key,
        **value,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _json_value(value: Any) -> Any:
    """The value itself where JSON has it, else its text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value
