"""``lrstudy report``: the report of a run, written again from its store alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import RunArgument
from lrstudy.rules.clocks import CLOCKS, COST

if TYPE_CHECKING:
    from lrstudy.report.writing import Printed


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
            help=f"Clock of targets and verdicts, in place of the study's: {', '.join((*CLOCKS, COST))}.",
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
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="A,B",
            help="Further files for a paper: svg and pdf (figures of a column's width), tex (tables).",
        ),
    ] = "",
    width: Annotated[
        float, typer.Option(metavar="MM", help="Width of svg and pdf figures.", min=40.0, max=400.0)
    ] = 85.0,
    short: Annotated[
        bool,
        typer.Option(
            "--short",
            help="Print a summary in Markdown with a table and a figure, for a pull request; nothing else.",
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --short: write the figure there, a PNG; default inside the text."
        ),
    ] = None,
) -> None:
    """Write the report of a run from its store; no study file, no Ray and no torch are needed."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.report import Judged, finish_report, print_short

    judged = Judged(target, clock, arrival)
    if picture is not None:
        _check_picture(picture, short=short)
    if short:
        print_short(run, judged, picture)
    else:
        finish_report(console(), run, output, judged, _printed(formats, width))


def _check_picture(picture: Path, *, short: bool) -> None:
    """Raise ``InputError`` for a figure's file that would not be written, or not as its name says."""
    from lrstudy.errors import InputError, Problem

    message, remedy = "", ""
    if not short:
        message, remedy = "is the figure of the short report", "Add --short, or use --format."
    elif picture.suffix.lower() != ".png":
        message, remedy = "is no PNG file", "Give a name that ends with .png."
    if message:
        raise InputError(Problem("command line", "--picture", message, remedy, str(picture)))


def _printed(formats: str, width: float) -> Printed:
    """Return the further files of a report; raises ``InputError`` for a format that is not known."""
    from lrstudy.errors import InputError, Problem, did_you_mean
    from lrstudy.report.writing import FORMATS, Printed

    wanted = tuple(dict.fromkeys(one.strip() for one in formats.split(",") if one.strip()))
    if wrong := [one for one in wanted if one not in FORMATS]:
        remedy = did_you_mean(wrong[0], FORMATS)
        raise InputError(Problem("command line", "--format", "is not a format", remedy, wrong[0]))
    return Printed(wanted, width)
