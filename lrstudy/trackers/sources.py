"""A source's reader: by its scheme, or by what a folder holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from lrstudy.store.log_formats import LogTable, printable, read_log
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers import mlflow_runs, optuna_trials, wandb_runs
from lrstudy.trackers.event_folders import is_event_file
from lrstudy.trackers.log_folders import read_folder
from lrstudy.trackers.tensorboard_events import read_events

_Reader: TypeAlias = Callable[[str, Sequence[str]], list[LogTable]]
_SCHEMES: Final[dict[str, _Reader]] = {
    wandb_runs.SCHEME: wandb_runs.read_project,
    mlflow_runs.SCHEME: mlflow_runs.read_mlflow,
    optuna_trials.SCHEME: optuna_trials.read_optuna,
}
# Their own folders inside a project; event files in them are copies.
_OF_TRACKERS: Final = ("wandb", "mlruns")


def is_source(text: str) -> bool:
    """Return True if a text names runs of a tracker, or is a folder, and not a single log file."""
    return text.startswith(tuple(_SCHEMES)) or Path(text).is_dir() or is_event_file(Path(text).name)


def read_any(source: str, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return the tables of a source: runs of a tracker, a folder of logs, or one log file.

    ``tags`` choose a tracker's metrics by patterns such as ``val*``. Raises ``InputError`` where the source
    cannot be read, with the package to install where one is missing.
    """
    for scheme, read in _SCHEMES.items():
        if source.startswith(scheme):
            return read(source, tags)
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_folder(path, tags)
    if path.is_file() and is_event_file(path.name):
        return read_events(path, tags)
    if path.is_file() and path.suffix == ".wandb":
        return wandb_runs.read_offline(path, tags)
    return [read_log(path)]


def _read_folder(folder: Path, tags: Sequence[str]) -> list[LogTable]:
    """Return the tables of a folder, by the one tracker that wrote in it; of several none is guessed."""
    kinds: dict[str, _Reader] = {}
    if mlflow_runs.is_mlruns(folder):
        kinds["MLflow"] = lambda source, tags: mlflow_runs.read_mlflow(f"{mlflow_runs.SCHEME}{source}", tags)
    else:
        if wandb_runs.offline_files(folder):
            kinds["W&B (wandb)"] = lambda source, tags: wandb_runs.read_offline(Path(source), tags)
        if mlflow_runs.is_mlruns(folder / "mlruns"):
            kinds["MLflow (mlruns)"] = lambda source, tags: mlflow_runs.read_mlflow(
                f"{mlflow_runs.SCHEME}{source}/mlruns", tags
            )
        if _has_event_files(folder):
            kinds["TensorBoard"] = lambda source, tags: read_events(Path(source), tags)
    if len(kinds) > 1:
        message = f"holds runs of {' and of '.join(kinds)}"
        raise refusal(printable(folder), message, "Give the folder of one of them")
    for read in kinds.values():
        return read(str(folder), tags)
    return read_folder(folder, tags)


def _has_event_files(folder: Path) -> bool:
    """Return True if there are event files below a folder, other than in the folders of other trackers."""
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _OF_TRACKERS]
        if any(map(is_event_file, names)):
            return True
    return False
