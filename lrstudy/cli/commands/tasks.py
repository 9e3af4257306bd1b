"""``lrstudy tasks``: what a task can be made of."""

from __future__ import annotations

import json
from typing import Any

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption


@app.command()
def tasks(as_json: JsonOption = False) -> None:
    """List data sets, models with their trainable parameters, losses and optimizers."""
    from rich.table import Table

    from lrstudy.cli.output import console
    from lrstudy.tasks.describe import describe_tasks

    found = describe_tasks()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    screen = console()
    for part in ("datasets", "models", "losses", "optimizers"):
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        table.add_column(part, no_wrap=True)
        if part == "models":
            table.add_column("parameters", justify="right", no_wrap=True)
        table.add_column("what it is")
        for entry in found[part]:
            counts = [_count(entry)] if part == "models" else []
            table.add_row(entry["name"], *counts, entry["doc"])
        screen.print(table)
        screen.print()
    screen.print('Any torchvision classifier: "torchvision:resnet18". Your own: "my_module:make_model".')


def _count(model: dict[str, Any]) -> str:
    """A model's trainable parameters: one number, or the span over the data sets it fits."""
    counts = sorted({count for count in model["parameters"].values() if count is not None})
    if not counts:
        return "–"
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} – {counts[-1]:,}"
