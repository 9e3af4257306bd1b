"""Folders of event files as runs: one each, except those that frameworks make inside a run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrstudy.store.log_formats import printable
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.event_points import EventFile, Points, read_event_file

# Keras writes the folders "train" and "validation" of one run, tf.estimator "eval" below it.
_SPLITS: Final = ("train", "training", "validation", "val", "eval", "evaluation", "test")
_KERAS: Final = "epoch_"


@dataclass(slots=True)
class EventRun:
    """The scalars of one training by tag, with its first moment and its hyperparameters.

    ``by_epoch`` marks Keras's logs, whose steps count epochs.
    """

    folder: Path
    started: float | None = None
    points: dict[str, Points] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    by_epoch: bool = False


def is_event_file(name: str) -> bool:
    """Return True if TensorBoard takes a file of this name for an event file."""
    return "tfevents" in name and not name.endswith(".profile-empty")


def event_files(folder: Path) -> list[Path]:
    """Return all event files in a folder and below it, in order of their paths."""
    named = (
        Path(inside) / name for inside, _, names in os.walk(folder) for name in names if is_event_file(name)
    )
    return sorted(file for file in named if file.is_file())


def read_runs(source: Path) -> list[EventRun]:
    """Return the run of an event file, or of each folder of them in ``source`` and below it."""
    files = [source] if source.is_file() else event_files(source)
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file)
    runs = {folder: _read_run(folder, inside) for folder, inside in by_folder.items()}
    for folder in sorted(runs, key=lambda folder: len(folder.parts), reverse=True):
        if folder != source and source.is_dir():
            _join_parent(runs, folder)
    return [runs[folder] for folder in sorted(runs)]


def _read_run(folder: Path, files: Sequence[Path]) -> EventRun:
    """Return what the event files of one folder hold: those of a training that was resumed are joined."""
    run = EventRun(folder)
    read = [(_read_event_file(file), file) for file in files]
    for content, file in sorted(read, key=lambda one: (one[0].started or 0.0, one[1])):
        _purge(run, content, file)
        _without_pause(run, content)
        for tag, points in content.points.items():
            parts = [run.points[tag], points] if tag in run.points else [points]
            run.points[tag] = Points.joined(parts)
        run.config |= content.config
        run.others |= content.others
        run.started = content.started if run.started is None else run.started
    last = {tag: _last_of_each_step(points) for tag, points in run.points.items()}
    lost = {tag: _lost_values(points, last[tag]) for tag, points in run.points.items()}
    if (most := max(lost.values(), default=0)) > 1:  # one: a test after the fit, at its last step
        tag = next(tag for tag in lost if lost[tag] == most)
        run.notes.append(
            f"{printable(run.folder)}: {printable(tag)} has steps with several values. The last of each "
            f"counts, {most} are left out: were these several trainings?"
        )
    run.points = last
    return run


def _read_event_file(file: Path) -> EventFile:
    where = printable(file)
    try:
        with file.open("rb") as stream:
            empty = os.fstat(stream.fileno()).st_size == 0
            content = b"" if empty else mmap(stream.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError) as error:
        message = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise refusal(where, message, "Give a folder of event files") from error
    return read_event_file(where, content)


def _purge(run: EventRun, content: EventFile, file: Path) -> None:
    """Drop points that a later part of the training measured again, in another file or after a restart.

    TensorBoard does so where the training says that it starts; a file that begins before the last step of the
    one before is the same case. Tags that the file does not have are dropped from the same step on, if their
    steps count what those of the others do.
    """
    dropped, again = 0, _begun_again(run, content)
    last = max((int(run.points[tag].steps.max()) for tag in again), default=-1)
    for place, step in content.starts:
        for tag, points in content.points.items():
            keep = (points.places > place) | (points.steps < step)
            dropped += int((~keep).sum())
            content.points[tag] = points.pick(keep)
    for tag, points in run.points.items():
        firsts = [step for _, step in content.starts[:1]]
        if tag in again:
            firsts.append(again[tag])
        elif tag not in content.points and len(points.steps) and points.steps.max() <= last:
            firsts.append(min(again.values()))
        if firsts:
            keep = points.steps < min(firsts)
            dropped += int((~keep).sum())
            run.points[tag] = points.pick(keep)
    if dropped:
        run.notes.append(
            f"{printable(file)}: training continued from an earlier step: {dropped} points replaced"
        )


def _begun_again(run: EventRun, content: EventFile) -> dict[str, int]:
    """Return the first step of each tag that a later file measures from before its last step."""
    return {
        tag: int(points.steps.min())
        for tag, points in content.points.items()
        if tag in run.points
        and len(points.steps)
        and len(run.points[tag].steps)
        and points.steps.min() < run.points[tag].steps.max()
    }


def _without_pause(run: EventRun, content: EventFile) -> None:
    """Move the times of a later file to the end of those before: the training did not run in between."""
    before = [float(points.times.max()) for points in run.points.values() if len(points.times)]
    now = [float(points.times.min()) for points in content.points.values() if len(points.times)]
    if not before or not now or content.started is None or content.started > min(now):
        return
    if (pause := content.started - max(before)) > 0:
        content.points = {
            tag: points._replace(times=points.times - pause) for tag, points in content.points.items()
        }


def _last_of_each_step(points: Points) -> Points:
    """Return the points in order of their steps; of several at one step the last that was written."""
    steps = points.steps
    if len(steps) < 2 or bool((np.diff(steps) > 0).all()):
        return points
    order = np.argsort(steps, kind="stable")
    last = np.append(np.diff(steps[order]) > 0, True)
    return points.pick(order[last])


def _lost_values(points: Points, last: Points) -> int:
    """Return the number of points with another value than the one that counts at their step."""
    if len(points.steps) == len(last.steps):
        return 0
    values = last.values[np.searchsorted(last.steps, points.steps)]
    return len(values) - int(np.isclose(points.values, values, rtol=0, atol=0, equal_nan=True).sum())


def _join_parent(runs: dict[Path, EventRun], folder: Path) -> None:
    """Move the points of a folder that a framework made inside a run's folder to that run."""
    run, parent = runs[folder], runs.get(folder.parent)
    if folder.name in _SPLITS:
        parent = runs.setdefault(folder.parent, EventRun(folder.parent))
        parent.by_epoch |= any(tag.startswith(_KERAS) for tag in run.points)
        _join(parent, run, {tag: _of_split(folder.name, tag) for tag in run.points})
    elif parent is not None and _is_hparams(run):
        _join(parent, run, {})  # torch's add_hparams: the parameters, and each metric's last value
    elif parent is not None and (tag := _part_of_scalars(run)):
        _join(parent, run, {tag: f"{tag}/{folder.name[len(_as_folder(tag)) :]}"})
    else:
        return
    del runs[folder]


def _of_split(split: str, tag: str) -> str:
    """Return a tag with its split, unless it has one.

    >>> _of_split("validation", "epoch_loss"), _of_split("val", "val/loss")
    ('validation/loss', 'val/loss')
    """
    tag = tag.removeprefix(_KERAS)
    known = tag.replace("_", "/").split("/")
    return tag if any(word in _SPLITS for word in known) else f"{split}/{tag}"


def _is_hparams(run: EventRun) -> bool:
    """Return True if a folder holds hyperparameters and no curve."""
    return bool(run.config) and all(len(points.steps) == 1 for points in run.points.values())


def _as_folder(tag: str) -> str:
    return tag.replace("/", "_") + "_"


def _part_of_scalars(run: EventRun) -> str | None:
    """Return the tag of a folder that torch's ``add_scalars`` made: ``loss`` of ``loss_train``."""
    if len(run.points) != 1:
        return None
    (tag,) = run.points
    start = _as_folder(tag)
    return tag if run.folder.name.startswith(start) and run.folder.name != start else None


def _join(parent: EventRun, run: EventRun, names: dict[str, str]) -> None:
    for tag, name in names.items():
        if name in parent.points:
            message = f"has the metric {printable(name)} twice: in {printable(run.folder.name)} and beside it"
            raise refusal(printable(parent.folder), message, f"Move {printable(run.folder)} elsewhere")
        parent.points[name] = run.points[tag]
    parent.config |= run.config
    parent.others |= run.others
    parent.notes += run.notes
    parent.started = _first(parent.started, run.started)


def _first(*moments: float | None) -> float | None:
    known: Iterable[float] = [moment for moment in moments if moment is not None]
    return min(known, default=None)
