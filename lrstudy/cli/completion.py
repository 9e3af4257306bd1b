"""What the shell offers when Tab is pressed: study files, run folders, schedules, trials. Never fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer


def study_files(incomplete: str) -> list[str]:
    """Study files below what has been typed, folders with a slash."""
    return list(_paths(incomplete, ".toml"))


def run_folders(incomplete: str) -> list[str]:
    """Folders that hold a store: those in what has been typed, or in ``runs/``."""
    folders = [path for path in _below(incomplete) if path.is_dir()]
    if not incomplete and Path("runs").is_dir():
        folders = sorted(Path("runs").iterdir())
    found = [str(path) for path in folders if (path / "study.json").is_file()]
    return found or [f"{path}/" for path in folders if not path.name.startswith(".")]


def schedule_names(incomplete: str) -> list[str]:
    """The built-in schedules."""
    from lrstudy.catalog.schedule_kinds import SCHEDULES

    return sorted(name for name in SCHEDULES if name.startswith(incomplete))


def data_sets(incomplete: str) -> list[str]:
    """The data sets of the catalog."""
    from lrstudy.catalog.task_parts import DATASETS

    return [name for name in DATASETS if name.startswith(incomplete)]


def shipped_names(incomplete: str) -> list[str]:
    """The studies that come with lrstudy."""
    from lrstudy.spec.shipped import shipped_studies

    return [name for name in shipped_studies() if name.startswith(incomplete)]


def trial_ids(context: typer.Context, incomplete: str) -> list[str]:
    """The trials in the run that stands before them on the command line."""
    from lrstudy.errors import LrStudyError
    from lrstudy.store import open_store

    run = context.params.get("run")
    if not run:
        return []
    try:
        names = open_store(run).trials(["trial_id"])["trial_id"].to_pylist()
    except (LrStudyError, OSError):
        return []
    return sorted(name for name in names if name.startswith(incomplete))


def _paths(incomplete: str, suffix: str) -> Iterator[str]:
    for path in _below(incomplete):
        if path.is_dir() and not path.name.startswith("."):
            yield f"{path}/"
        elif path.suffix == suffix:
            yield str(path)


def _below(incomplete: str) -> list[Path]:
    folder, _, beginning = incomplete.rpartition("/")
    here = Path(folder or ("/" if incomplete.startswith("/") else "."))
    try:
        return sorted(path for path in here.iterdir() if path.name.startswith(beginning))
    except OSError:
        return []
