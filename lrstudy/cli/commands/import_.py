"""``lrstudy import``: recorded histories become stores."""

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
            metavar="FILE...", help="CSV, Parquet or JSON files with a row per epoch.", show_default=False
        ),
    ],
    out: OutOption = "runs",
    task_columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Columns that tell tasks apart: each combination is a study."),
    ] = None,
    schedule_columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Columns that name the schedule; without it: schedule, else the file's name."
        ),
    ] = None,
    seed_column: Annotated[
        str | None, typer.Option(metavar="A", help="Column that tells repeated runs apart.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Schedule to compare with; without it: baseline, fixed, or the first."
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is judged; without it: val_accuracy, or what all runs have.")
    ] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(help="A level of the metric; repeatable; without it: derived from the reference."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name, or the beginning of several names.")
    ] = None,
) -> None:
    """Make stores of recorded training histories (Keras, Lightning or your own): one for each study."""
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
    """The names in a list with commas; None where there are none."""
    return [name.strip() for name in (columns or "").split(",") if name.strip()] or None
