"""``lrstudy doctor``: checks of this machine, or of the store of a run, with the remedy of each fault."""

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
    from lrstudy.tuning.cluster.diagnosis import CheckResult


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
    """Check Python, torch, CUDA, memory, disk, data sets and Ray, or all files and rows of a run.

    Each fault is shown with its remedy. The exit code is 2 if a fault would keep a study from running, or if
    the run is damaged.
    """
    from lrstudy.cli.output import console
    from lrstudy.cli.views.doctor import show_check

    screen = console()
    checks = []
    for check in _checks(run, out, root, address, repair=repair):
        checks.append(check)
        if not as_json:
            show_check(screen, check)
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    if any(check.state == "fault" for check in checks):
        raise typer.Exit(EXIT_BAD_INPUT)


def _checks(
    run: str | None, out: str, root: Path | None, address: str | None, *, repair: bool
) -> Iterator[CheckResult]:
    if run is None:
        if repair:
            raise InputError(
                Problem("command line", "--repair", "needs a RUN", "Name the run's folder or URI")
            )
        from lrstudy.tuning.cluster.diagnosis import diagnose

        return diagnose(out, root, address)
    from lrstudy.tuning.store_diagnosis import diagnose_run, repair_run

    return repair_run(run) if repair else diagnose_run(run)
