"""``lrstudy doctor``: whether studies can run here, and what to do where they cannot."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import AddressOption, JsonOption, OutOption, RootOption
from lrstudy.errors import EXIT_BAD_INPUT

_STYLES = {"ok": "green", "note": "cyan", "fault": "bold red"}


@app.command()
def doctor(
    out: OutOption = "runs",
    root: RootOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at Python, torch, CUDA, memory, disk, data sets and Ray: each line well, or with its remedy.

    The exit code is 2 when something would keep a study from running.
    """
    from rich.table import Table
    from rich.text import Text

    from lrstudy.cli.diagnosis import diagnose
    from lrstudy.cli.output import console

    screen = console()
    found = []
    for finding in diagnose(out, root, address):
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
