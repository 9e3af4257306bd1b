"""``lrstudy status``: how far a run is, from its store alone."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption, RunArgument


@app.command()
def status(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show how far a run is: trials done per schedule and phase, best values, trials lost."""
    from rich.markup import escape
    from rich.table import Table

    from lrstudy.cli.counts import counts
    from lrstudy.cli.output import console
    from lrstudy.store import open_store

    store = open_store(run)
    rows = counts(store)
    if as_json:
        typer.echo(
            json.dumps({"study": store.study.name, "schedules": [asdict(row) for row in rows]}, indent=2)
        )
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("schedule", no_wrap=True, overflow="ellipsis", max_width=24)
    for heading in ("tune", "confirm", f"best {store.study.metric.name}", "pruned", "diverged", "failed"):
        table.add_column(heading, justify="right")
    for row in rows:
        best = "–" if row.best is None else f"{row.best:.4f}"
        lost = [str(count) if count else "" for count in (row.pruned, row.diverged, row.failed)]
        tune, confirm = f"{row.tune}/{row.tune_planned}", f"{row.confirm}/{row.confirm_planned}"
        table.add_row(escape(row.schedule), tune, confirm, best, *lost)
    screen = console()
    done = sum(row.range_tests + row.tune + row.confirm for row in rows)
    planned = sum(row.range_tests_planned + row.tune_planned + row.confirm_planned for row in rows)
    screen.print(f"{escape(store.study.name)}: {done} of {planned} trials done")
    screen.print(table)
