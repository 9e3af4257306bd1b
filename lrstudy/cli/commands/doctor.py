"""``lrstudy doctor``: checks this machine, or the store of a run, and says how to continue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import run_folders
from lrstudy.cli.options import AddressOption, JsonOption, OutOption, RootOption
from lrstudy.errors import EXIT_BAD_INPUT, InputError, Problem

if TYPE_CHECKING:
    from lrstudy.tuning.cluster.diagnosis import Finding

_STYLES = {"ok": "green", "note": "cyan", "fault": "bold red"}


@app.command()
def doctor(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Check the store of this run instead of the machine.",
            show_default=False,
            autocompletion=run_folders,
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Set RUN's damaged files aside; resume then runs their trials again."),
    ] = False,
    out: OutOption = "runs",
    root: RootOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at Python, torch, CUDA, memory, disk, data sets and Ray, or at all files and rows of a run.

    Each line is well, or has its remedy. The exit code is 2 when something would keep a study from running,
    or when the run is damaged.
    """
    from rich.table import Table
    from rich.text import Text

    from lrstudy.cli.output import console

    screen = console()
    found = []
    for finding in _findings(run, out, root, address, repair=repair):
        found.append(finding)
        if not as_json:
            line = Table.grid(padding=(0, 1, 0, 0))
            for width in (5, 11):
                line.add_column(width=width, no_wrap=True)
            said = Text("\n".join(filter(None, (finding.seen, finding.remedy))))
            line.add_row(Text(finding.state, style=_STYLES[finding.state]), Text(finding.name), said)
            screen.print(line)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    if any(finding.state == "fault" for finding in found):
        raise typer.Exit(EXIT_BAD_INPUT)


def _findings(
    run: str | None, out: str, root: Path | None, address: str | None, *, repair: bool
) -> Iterator[Finding]:
    if run is None:
        if repair:
            raise InputError(
                Problem("command line", "--repair", "needs a RUN", "Name the run's folder or URI")
            )
        from lrstudy.tuning.cluster.diagnosis import diagnose

        return diagnose(out, root, address)
    from lrstudy.tuning.store_diagnosis import diagnose_run, repair_run

    return repair_run(run) if repair else diagnose_run(run)
