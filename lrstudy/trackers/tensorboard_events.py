"""TensorBoard's event files as tables: one for each run, with a column for each tag that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.event_folders import EventRun, read_runs
from lrstudy.trackers.run_tables import check_cells, chosen, filled, flat, make_table, no_such_tag


def read_events(source: Path, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return a table for each run in an event file or a folder tree of them, with the tags that fit.

    Rows are the steps of any chosen tag. ``seconds`` counts from the moment the first file was made.
    Raises ``InputError`` where no run has such a tag.
    """
    runs = read_runs(source)
    with_scalars = [run for run in runs if run.points]
    if not with_scalars:
        others = list(dict.fromkeys(tag for run in runs for tag in run.others))
        message = f"has no scalars, only {printable(', '.join(others[:5]))}" if others else "has no scalars"
        raise refusal(printable(source), message, "Give a folder whose runs TensorBoard shows as scalars")
    fitting = {run.folder: chosen(_usual(run), tags) for run in with_scalars}
    if not any(fitting.values()):
        raise no_such_tag(
            printable(source), list(dict.fromkeys(tag for run in with_scalars for tag in run.points)), tags
        )
    notes = [
        f"{printable(run.folder)}: left out, it has no scalars that fit"
        for run in runs
        if not fitting.get(run.folder)
    ]
    tables = [_table(source, run, fitting[run.folder]) for run in with_scalars if fitting[run.folder]]
    tables[0].notes += notes
    return tables


def _usual(run: EventRun) -> list[str]:
    """Return a run's tags; of Keras's those by epoch, for its others count batches."""
    if not run.by_epoch:
        return list(run.points)
    return [tag for tag in run.points if "batch_" not in tag and not tag.endswith("_vs_iterations")]


def _table(source: Path, run: EventRun, tags: Sequence[str]) -> LogTable:
    where = printable(run.folder)
    points = [run.points[tag] for tag in tags]
    steps = points[0].steps
    if any(len(each.steps) != len(steps) or (each.steps != steps).any() for each in points):
        steps = np.unique(np.concatenate([each.steps for each in points]))
    check_cells(where, len(steps), len(tags) + 2)
    columns: dict[str, Any] = {"epoch" if run.by_epoch else "step": steps}
    seconds = np.full(len(steps), -np.inf)
    for tag, each in zip(tags, points, strict=True):
        at = np.searchsorted(steps, each.steps)
        seconds[at] = np.maximum(seconds[at], each.times)
        columns[tag] = filled(len(steps), at, each.values)
    started = min(float(seconds.min()), run.started if run.started is not None else np.inf)
    columns["seconds"] = seconds - started
    name = "." if run.folder == source else _relative(run.folder, source)
    constants = {"run.name": name, **dict(flat({"config": run.config}))}
    return make_table(where, columns, constants, run.notes)


def _relative(folder: Path, source: Path) -> str:
    return str(folder.relative_to(source)) if folder.is_relative_to(source) else folder.name
