"""``lrstudy compare``: several studies side by side, or runs of one study pooled, as a report and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import run_folders
from lrstudy.cli.options import JsonOption


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs: folders such as runs/<study>, or URIs.",
            show_default=False,
            autocompletion=run_folders,
        ),
    ],
    reports: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the comparison: DIR/comparison/.")
    ] = Path(),
    arrival: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Rule of arrival at a target, in place of each study's: first, or stay:N for N evaluations "
            "in a row.",
        ),
    ] = None,
    pool: Annotated[
        bool,
        typer.Option(
            "--pool",
            help="Judge the schedules of all runs as one study with the first run's reference. The runs must "
            "have the same task, data, seeds, budget and target.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare several studies: the fastest schedule of each, performance profiles, speedups."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.compare import compare_runs, pooled_summary, show_pool, show_wins
    from lrstudy.report import write_comparison, write_report

    if pool:
        summary = pooled_summary(runs, arrival=arrival)
        page = write_report(summary, reports / "comparison").html
        if as_json:
            typer.echo(summary.to_json(), nl=False)
        else:
            show_pool(console(), summary, page)
        return
    compared = compare_runs(runs, arrival=arrival)
    paths = write_comparison(compared, reports / "comparison")
    if as_json:
        typer.echo(compared.to_json(), nl=False)
        return
    screen = console()
    show_wins(screen, compared)
    screen.print(f"comparison: {paths.html}", markup=False, soft_wrap=True)
