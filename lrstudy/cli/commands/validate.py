"""``lrstudy validate``: what is wrong with study files, without running anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lrstudy.cli.app import app
from lrstudy.cli.complete import study_files
from lrstudy.cli.options import JsonOption, SetOption
from lrstudy.errors import NO_VALUE, InputError, Problem


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
    """Check study files as a whole: every problem at once, with its line and what to do."""
    from lrstudy.spec import load_study

    found: dict[str, list[Problem]] = {}
    for path in studies:
        try:
            load_study(path, set_ or [])
        except InputError as error:
            found[str(path)] = list(error.problems)
        else:
            found[str(path)] = []
    problems = [problem for listed in found.values() for problem in listed]
    if as_json:
        data = [{"study": name, "problems": [_plain(p) for p in listed]} for name, listed in found.items()]
        typer.echo(json.dumps(data, indent=2, default=str))
        if problems:
            raise typer.Exit(InputError.exit_code)
        return
    for name, listed in found.items():
        if not listed:
            typer.echo(f"{name}: ok")
    if problems:
        raise InputError(problems)


def _plain(problem: Problem) -> dict[str, Any]:
    value = {} if problem.value is NO_VALUE else {"value": problem.value}
    return {
        "where": problem.where,
        "line": problem.line,
        "key": problem.key,
        **value,
        "message": problem.message,
        "remedy": problem.remedy,
    }
