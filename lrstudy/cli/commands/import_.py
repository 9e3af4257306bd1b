"""``lrstudy import``: stores made from recorded histories."""

from __future__ import annotations

from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import OutOption


@app.command("import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV, Parquet or JSON files with a row per epoch or evaluation.",
            show_default=False,
        ),
    ],
    out: OutOption = "runs",
    task_columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Columns that identify the task: each combination is a study."),
    ] = None,
    schedule_columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Columns that name the schedule; default schedule, else the file's name."
        ),
    ] = None,
    seed_column: Annotated[
        str | None, typer.Option(metavar="A", help="Column that identifies repeated runs.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Schedule to compare with; default baseline, else fixed, else the first."
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric to compare; default val_accuracy, else one that all runs have.")
    ] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(help="A level of the metric; repeatable; default derived from the reference."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name, or the beginning of several names.")
    ] = None,
) -> None:
    """Make stores from recorded training histories (Keras, Lightning or your own): one for each study."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.import_ import show_imported
    from lrstudy.store import ImportOptions, import_histories

    options = ImportOptions(
        task_columns=_names(task_columns) or (),
        schedule_columns=_names(schedule_columns),
        seed_column=seed_column,
        reference=reference,
        metric=metric,
        targets=target or (),
        name=name,
    )
    show_imported(console(), import_histories(files, out, options))


def _names(columns: str | None) -> list[str] | None:
    """Return the names in a list with commas; None if it has no name."""
    return [name.strip() for name in (columns or "").split(",") if name.strip()] or None
