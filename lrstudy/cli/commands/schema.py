"""``lrstudy schema``: the study file's JSON Schema."""

from __future__ import annotations

import json

import typer

from lrstudy.cli.app import app


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files; editors use it to complete and check them."""
    from lrstudy.spec.json_schema import study_schema

    typer.echo(json.dumps(study_schema(), indent=2, ensure_ascii=False))
