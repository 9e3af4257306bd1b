"""``lrstudy import``: stores made from recorded histories."""

from __future__ import annotations

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
            help="CSV, Parquet or JSON files with a row per epoch, step or evaluation.",
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
    name: Annotated[
        str | None, typer.Option(help="The study's name, or the beginning of several names.")
    ] = None,
) -> None:
    """Make stores from recorded training histories of other tools or your own: one for each study."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.import_ import show_imported
    from lrstudy.store import ImportOptions, import_histories

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
    show_imported(console(), import_histories(sources, out, options))


def _selectors(text: str | None) -> list[str] | None:
    """Return the selectors in a list with commas; None if it has none. A pattern may have commas."""
    if text and "{" in text:
        return [text]
    return [name.strip() for name in (text or "").split(",") if name.strip()] or None
