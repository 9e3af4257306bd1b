"""The values that the shell offers after Tab: study files, run folders, schedules, data sets and formats.

Every function returns an empty list if it cannot tell: an error in the middle of a command line helps no one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer


def study_files(incomplete: str) -> list[str]:
    """Return the study files that begin with this path, and folders, which end with a slash."""
    return list(_paths(incomplete, ".toml"))


def run_folders(incomplete: str) -> list[str]:
    """Return the folders that hold a store: those that begin with this path, or those in ``runs/``."""
    folders = [path for path in _matching_paths(incomplete) if path.is_dir()]
    if not incomplete and Path("runs").is_dir():
        folders = sorted(Path("runs").iterdir())
    runs = [str(path) for path in folders if (path / "study.json").is_file()]
    return runs or [f"{path}/" for path in folders if not path.name.startswith(".")]


def schedule_names(incomplete: str) -> list[str]:
    """Return the built-in schedules, in the order of the catalog."""
    from lrstudy.catalog.schedule_kinds import SCHEDULES

    return _beginning(incomplete, SCHEDULES)


def schedules_of_study(context: typer.Context, incomplete: str) -> list[str]:
    """Return the schedules in the study file that comes before on the command line."""
    import tomllib

    # While the option has no value yet, the parser leaves the arguments before it in ``args``.
    files = [context.params.get("study"), *context.args]
    try:
        path = Path(next(file for file in files if file is not None))
        study = tomllib.loads(path.read_text(encoding="utf-8"))
        return _beginning(incomplete, [*study.get("schedules", {}), *study.get("methods", {})])
    except (StopIteration, OSError, ValueError, TypeError):
        return []


def schedules_of_files(incomplete: str) -> list[str]:
    """Return ``NAME=FILE`` for each schedule in the study file that is typed, or else in those here."""
    import tomllib

    _, _, file = incomplete.partition("=")
    offered = []
    for path in [file] if file.endswith(".toml") else study_files(file):
        try:
            study = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            names = [*study.get("schedules", {}), *study.get("methods", {})]
        except (OSError, ValueError, TypeError):
            continue
        offered += [f"{each}={path}" for each in names]
    return _beginning(incomplete, offered)


def data_sets(incomplete: str) -> list[str]:
    """Return the data sets of the catalog."""
    from lrstudy.catalog.task_parts import DATASETS

    return _beginning(incomplete, DATASETS)


def shipped_names(incomplete: str) -> list[str]:
    """Return the studies that come with lrstudy."""
    from lrstudy.spec.shipped import shipped_studies

    return _beginning(incomplete, shipped_studies())


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Return a function that completes an option with a fixed set of values."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, values)

    return complete


def trial_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return the trials in the run that comes before on the command line."""
    from lrstudy.errors import LrStudyError
    from lrstudy.store import open_store

    run = context.params.get("run")
    if not run:
        return []
    try:
        trials = open_store(run).trials(["trial_id"])["trial_id"].to_pylist()
    except (LrStudyError, OSError):
        return []
    return sorted(_beginning(incomplete, trials))


def schedules_of_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the schedules of the run that comes before on the command line."""
    from lrstudy.errors import LrStudyError
    from lrstudy.store import open_location
    from lrstudy.store.reader import read_study

    run = next((one for one in (context.params.get("run"), *context.args) if one is not None), None)
    try:
        study = None if run is None else read_study(open_location(run))
    except (LrStudyError, OSError):
        study = None
    return [] if study is None else _beginning(incomplete, [one.name for one in study.compared])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(incomplete: str, suffix: str) -> Iterator[str]:
    for path in _matching_paths(incomplete):
        if path.is_dir() and not path.name.startswith("."):
            yield f"{path}/"
        elif path.suffix == suffix:
            yield str(path)


def _matching_paths(incomplete: str) -> list[Path]:
    folder, _, beginning = incomplete.rpartition("/")
    here = Path(folder or ("/" if incomplete.startswith("/") else "."))
    try:
        return sorted(path for path in here.iterdir() if path.name.startswith(beginning))
    except OSError:
        return []
