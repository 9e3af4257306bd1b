"""``lrstudy import``: stores made from recorded histories."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import OutOption


@app.command("import")
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Log files (CSV, Parquet, JSON) with a row per epoch, step or evaluation; folders of them; "
            "a tracker's runs: wandb://…, mlflow:…, optuna:…, a folder of TensorBoard or of offline W&B.",
            show_default=False,
        ),
    ],
    out: OutOption = "runs",
    task_from: Annotated[
        str | None,
        typer.Option(
            "--task-from",
            "--task-columns",
            metavar="A,B",
            help="Source of the task's name, as of the schedule's: each combination is a study.",
        ),
    ] = None,
    schedule_from: Annotated[
        str | None,
        typer.Option(
            "--schedule-from",
            "--schedule-columns",
            metavar="A,B",
            help="Source of the schedule's name: columns, values of the run (config.lr_scheduler_type), "
            "path:K (2: the file's folder) or '{schedule}-{seed}.csv'; default schedule, else the run's name "
            "or the file's.",
        ),
    ] = None,
    seed_from: Annotated[
        str | None,
        typer.Option(
            "--seed-from",
            "--seed-column",
            metavar="A",
            help="Source of the seed, which tells repeated runs apart.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Schedule to compare with; default baseline, else fixed, else the first."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Metric to compare, any column with its goal (eval/f1:max); default val_accuracy, else one "
            "that all runs have."
        ),
    ] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(help="A level of the metric; repeatable; default derived from the reference."),
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option(
            metavar="CLOCK",
            help="Clock of times: epoch, step, samples, tokens or seconds; default epochs where runs end "
            "with one, else the first that the logs have.",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="A tracker's metrics to read, such as 'val*'; repeatable; default all."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name, or the beginning of several names.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the studies that would be made, and write nothing.")
    ] = False,
) -> None:
    """Make stores from recorded training histories of other tools or your own: one for each study."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.import_ import show_imported, show_preview
    from lrstudy.store import ImportOptions, import_histories
    from lrstudy.trackers import read_any

    options = ImportOptions(
        task_from=_selectors(task_from) or (),
        schedule_from=_selectors(schedule_from),
        seed_from=seed_from,
        reference=reference,
        metric=metric,
        targets=target or (),
        name=name,
        clock=clock,
    )
    read = partial(read_any, tags=tag or ())
    studies = import_histories(sources, out, options, read, dry_run=dry_run)
    (show_preview if dry_run else show_imported)(console(), studies)


def _selectors(text: str | None) -> list[str] | None:
    """Return the selectors in a list with commas; None if it has none. A pattern may have commas."""
    if text and "{" in text:
        return [text]
    return [name.strip() for name in (text or "").split(",") if name.strip()] or None
