"""``lrstudy range-test``: the range of rates in which a study's task trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import schedules_of_study
from lrstudy.cli.options import JsonOption, SetOption, StudyArgument
from lrstudy.errors import InputError


@app.command("range-test")
def range_test(
    study: StudyArgument,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="The schedule to write the range for; default: one that searches its rate.",
            autocompletion=schedules_of_study,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curve into this PNG or SVG file.")
    ] = None,
    low: Annotated[float | None, typer.Option(help="First rate; default range_test.low.")] = None,
    high: Annotated[float | None, typer.Option(help="Last rate; default range_test.high.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Length; default range_test.epochs.")] = None,
    linear: Annotated[
        bool, typer.Option("--linear", help="Raise the rate by an equal step, not by an equal factor.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="A seed; default the study's.")] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train once with a rate that rises at every step (Smith's range test); suggest the rates to search."""
    from lrstudy.cli.output import figure_problems, messages
    from lrstudy.cli.views.range_test import as_data, as_text, draw_range, run_sweep, schedule_to_use
    from lrstudy.rules.surroundings import output_to_stderr
    from lrstudy.spec import load_study
    from lrstudy.spec.searched_values import study_of_method
    from lrstudy.spec.study_file_lines import located_in

    spec = load_study(study, set_ or [])
    user = schedule_to_use(spec, schedule)
    spec = spec if user is None else study_of_method(spec, user.name)
    if plot is not None and (problems := figure_problems("--plot", plot)):
        raise InputError(problems)
    seed = spec.seed if seed is None else seed
    folders = (study.resolve().parent, Path.cwd())
    # Users' code may print.
    with output_to_stderr(), located_in(study), messages().status("range test: loading data") as status:
        done = run_sweep(
            spec,
            seed,
            folders,
            low=low,
            high=high,
            epochs=epochs,
            linear=linear,
            on_epoch=lambda done, planned: status.update(f"range test: {done} of {planned} epochs"),
        )
    if plot is not None:
        draw_range(done.curve, done.bounds, f"range test of {spec.name}, seed {seed}", plot)
    if as_json:
        typer.echo(json.dumps(as_data(spec, done, seed), indent=2))
        return
    typer.echo(as_text(spec, done, seed, user))
    if plot is not None:
        typer.echo(f"drawn: {plot}")
