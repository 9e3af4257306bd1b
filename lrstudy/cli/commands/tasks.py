"""``lrstudy tasks``: the parts that a task can be made of."""

from __future__ import annotations

import json

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption


@app.command()
def tasks(as_json: JsonOption = False) -> None:
    """List data sets, models with their trainable parameters, losses and optimizers."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.tasks import show_tasks
    from lrstudy.tasks.describe import describe_tasks

    parts = describe_tasks()
    if as_json:
        typer.echo(json.dumps(parts, indent=2))
    else:
        show_tasks(console(), parts)
