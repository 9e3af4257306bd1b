"""``lrstudy plan``: what a study would do, before it does it."""

from __future__ import annotations

import json
from typing import Any

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption, SetOption, StudyArgument


@app.command()
def plan(study: StudyArgument, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """Show what a study will run: trials, epochs, each schedule's space, and how long it will take."""
    from lrstudy.cli.output import console
    from lrstudy.cli.planning import plan_of, show_plan
    from lrstudy.spec import load_study
    from lrstudy.tuning.estimate import estimate_seconds

    spec = load_study(study, set_ or [])
    estimate = estimate_seconds(spec)
    planned: dict[str, Any] = plan_of(spec, estimate)
    if as_json:
        typer.echo(json.dumps(planned, indent=2))
    else:
        show_plan(console(), planned)
