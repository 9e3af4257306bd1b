"""The job that ``lrstudy submit`` sends: the study, its folder and its environment, checked before."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from lrstudy.errors import InputError, Problem
from lrstudy.spec import load_study

if TYPE_CHECKING:
    from lrstudy.tuning.cluster.job_client import JobRequest

# Python's own modules that no library imports.
_NOT_MISSED: Final = frozenset({"antigravity", "idlelib", "lib2to3", "test", "this", "turtle", "turtledemo"})
# Folders beside studies that are large and of no use to a job.
_NOT_SENT: Final = (".git", ".venv", "venv", "__pycache__", "runs", "reports")


def job_request(
    study: Path,
    settings: Sequence[str],
    out: str,
    reports: Path | None,
    working_dir: Path,
    env: Sequence[str],
    pip: Sequence[str],
    python: str,
    name: str | None,
) -> JobRequest:
    """Return the job that runs a study; raises ``InputError`` with all of its problems."""
    from lrstudy.tuning.cluster.job_client import JobRequest

    spec = load_study(study, settings)
    problems: list[Problem] = []
    folder, file = working_dir.resolve(), study.resolve()
    if not file.is_relative_to(folder):
        remedy = f"Give a folder that contains it: --working-dir {file.parent}"
        problems.append(
            Problem("--working-dir", "", "does not contain the study file", remedy, str(working_dir))
        )
    for option, place in (("--out", out), ("--reports", reports)):
        if place is not None and "://" not in str(place) and not PurePosixPath(place).is_absolute():
            remedy = "Give an absolute path on the cluster" + (
                ", or a URI such as s3://bucket/runs." if option == "--out" else "."
            )
            message = "is relative, and a job's own folder is removed with the job"
            problems.append(Problem(option, "", message, remedy, str(place)))
    for place in {folder, file.parent}:
        problems += _hiding(place)
    values = _environment(env, problems)
    if problems:
        raise InputError(problems)
    inside = file.relative_to(folder)
    if inside.parent != Path():
        # The study's modules are beside its file; workers of other nodes import them from there too.
        known = [values["PYTHONPATH"]] if "PYTHONPATH" in values else []
        values["PYTHONPATH"] = os.pathsep.join([str(inside.parent), *known])
    words = [inside.as_posix(), "--out", out]
    words += ["--reports", str(reports)] if reports is not None else []
    words += [word for setting in settings for word in ("--set", setting)]
    return JobRequest(words, spec.name, folder, python, name, values, pip, _NOT_SENT)


def _hiding(folder: Path) -> list[Problem]:
    """Return a problem for each module in a folder that hides one of Python's own.

    A job's folder comes before all that is installed, in every process of Ray that works for it.
    """
    names = {path.stem: path.name for path in folder.glob("*.py")}
    names |= {path.parent.name: path.parent.name for path in folder.glob("*/__init__.py")}
    remedy = "Rename it, or give a --working-dir without it."
    message = "hides Python's own module of this name from the job"
    return [
        Problem("--working-dir", "", f"{name} in it {message}", remedy, str(folder))
        for stem, name in sorted(names.items())
        if stem in sys.stdlib_module_names - _NOT_MISSED
    ]


def _environment(given: Sequence[str], problems: list[Problem]) -> dict[str, str]:
    """Return names and values of variables; no message contains a value, which may be a secret."""
    values: dict[str, str] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            problems.append(Problem("--env", "", "has no name before its =", "Write NAME=VALUE, or NAME."))
        elif not equals and name not in os.environ:
            problems.append(
                Problem("--env", name, "is not set here", f"Export {name} first, or write {name}=VALUE.")
            )
        else:
            values[name] = value if equals else os.environ[name]
    return values
