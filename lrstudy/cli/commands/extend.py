"""``lrstudy extend``: more seeds, replicates, trials or schedules for a run whose trials stay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import schedules_of_files
from lrstudy.cli.options import AddressOption, ModulesOption, QuietOption, ReportsOption, RunArgument

_Number = int | None


@app.command()
def extend(
    run: RunArgument,
    confirm_seeds: Annotated[
        _Number, typer.Option(metavar="N", min=1, help="Runs of each winner on fresh seeds, in total.")
    ] = None,
    replicates: Annotated[
        _Number, typer.Option(metavar="N", min=1, help="Tunings of each schedule, in total.")
    ] = None,
    most: Annotated[
        _Number,
        typer.Option(metavar="N", min=2, help="Continue until decided, up to N tunings of each schedule."),
    ] = None,
    trials: Annotated[
        _Number,
        typer.Option(metavar="N", min=1, help="Configurations per tuning, in total; another one may win."),
    ] = None,
    select_seeds: Annotated[
        _Number, typer.Option(metavar="N", min=1, help="Seeds of each finalist, in total; another may win.")
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Add a schedule or method of a study file; repeatable.",
            autocompletion=schedules_of_files,
        ),
    ] = None,
    epochs: Annotated[
        _Number,
        typer.Option(metavar="N", min=1, help="Refused: no trial would stay; says why, and what to do."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Judge by another recorded metric; nothing is trained.")
    ] = None,
    reports: ReportsOption = None,
    address: AddressOption = None,
    modules: ModulesOption = None,
    quiet: QuietOption = False,
) -> None:
    """Add seeds, replicates, trials or schedules to a run; only what is missing is trained.

    Each number is the new total. All trials of the run stay as they are. The run's study.json keeps a history
    of extensions. If it ends early: lrstudy resume RUN. A verdict that was read before more replicates counts
    as a look: the verdict after them pays for both.
    """
    from lrstudy.cli.views.extend import extend_run
    from lrstudy.cli.views.run import RunOptions
    from lrstudy.rules.extension import Extension

    extension = Extension(
        confirm_seeds, replicates, most, trials, select_seeds, tuple(schedule or ()), epochs, metric
    )
    extend_run(run, extension, RunOptions(reports, address, quiet), (*(modules or []), Path.cwd()))
