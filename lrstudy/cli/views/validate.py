"""The check of study files and their parts: all problems as text or data, each with its place in the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from lrstudy.errors import NO_VALUE, InputError, Problem
from lrstudy.rules.child_import import ChildImport
from lrstudy.rules.user_modules import own_folders
from lrstudy.spec import Study, load_study
from lrstudy.spec.study_file_lines import locate
from lrstudy.tuning.study_check import Checked


def check_file(path: Path, overrides: Sequence[str]) -> Checked:
    """Check one study file; its parts are checked only if the file itself has no problem."""
    try:
        study = load_study(path, overrides)
    except InputError as error:
        return Checked(None, error.problems, ())
    with own_folders([path.resolve().parent, Path.cwd()]):
        return check_parts(study, path)


def check_parts(study: Study, path: Path) -> Checked:
    """Check everything that the study in a file names: its data, its model, its schedules, its logging."""
    from lrstudy.store import open_location, study_folder
    from lrstudy.tuning.driver.trackers import check_tracking
    from lrstudy.tuning.study_check import check_study, users_code

    with ChildImport(tuple(users_code(study))) as imported:
        checked = check_study(study, imported)
    tracking = check_tracking(study, study_folder(open_location("runs"), study.name))

    def located(problems: Iterable[Problem]) -> tuple[Problem, ...]:
        return tuple(locate(problem, path) for problem in problems)

    return replace(
        checked,
        problems=located([*checked.problems, *tracking]),
        warnings=located(checked.warnings),
        missing=located(checked.missing),
    )


def show_checks(checks: Mapping[str, Checked]) -> None:
    """Print a line for each study file without problems, and the warnings of every file."""
    for name, checked in checks.items():
        show_warnings(checked.warnings)
        if not checked.problems:
            typer.echo(f"{name}: ok")
        elif checked.lacks_only_data:
            typer.echo(f"{name}: its data are not on this machine; no other problem was found", err=True)


def show_warnings(warnings: Iterable[Problem]) -> None:
    """Print what keeps no study from running and what its author may not have meant."""
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)


def check_data(checks: Mapping[str, Checked]) -> list[dict[str, Any]]:
    """Return the checks of study files as plain data."""
    return [
        {
            "study": name,
            "problems": [_plain(problem) for problem in checked.problems],
            **({"warnings": [_plain(warning) for warning in checked.warnings]} if checked.warnings else {}),
        }
        for name, checked in checks.items()
    ]


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
    """Return the value itself if JSON can hold it, else its text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value
