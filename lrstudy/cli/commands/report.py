"""``lrstudy report``: the report of a run, written again from its store alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import RunArgument
from lrstudy.rules.clocks import CLOCKS


@app.command()
def report(
    run: RunArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Folder of the report; default report/ in the run's folder."
        ),
    ] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(help="A level of the metric, in place of the study's targets; repeatable."),
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option(
            metavar="CLOCK",
            help=f"Clock of targets and verdicts, in place of the study's: {', '.join(CLOCKS)}.",
        ),
    ] = None,
    arrival: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Rule of arrival at a target, in place of the study's: first, or stay:N for N evaluations "
            "in a row.",
        ),
    ] = None,
) -> None:
    """Write the report of a run from its store; no study file, no Ray and no torch are needed."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.report import finish_report

    finish_report(console(), run, output, targets=target, clock=clock, arrival=arrival)
