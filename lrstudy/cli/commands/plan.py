"""``lrstudy plan``: the trials, the time and the power of a study, before it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import JsonOption, OutOption, SetOption, StudyArgument

if TYPE_CHECKING:
    from lrstudy.spec import Study
    from lrstudy.store import Store


@app.command()
def plan(
    study: StudyArgument,
    out: OutOption = "runs",
    set_: SetOption = None,
    like: Annotated[
        str | None, typer.Option(metavar="RUN", help="A finished run whose times vary like those to come.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the trials of a study, the budget of each schedule, the time, and the speedups it can show.

    The time is that of recorded trials if a run of the study is in --out, else measured for a second. A study
    that validate refuses is refused; one whose data are not fetched yet is planned without a time. A study
    whose estimated cost passes its cost.limit is planned and then refused, with exit code 2.
    """
    from lrstudy.cli.output import console
    from lrstudy.cli.views.plan import plan_of, show_plan
    from lrstudy.cli.views.power import measured_in
    from lrstudy.cli.views.validate import check_parts, show_warnings
    from lrstudy.errors import InputError
    from lrstudy.rules.surroundings import output_to_stderr
    from lrstudy.spec import load_study
    from lrstudy.spec.study_file_lines import locate
    from lrstudy.store import open_store
    from lrstudy.tuning.cost_estimate import estimate_cost, gpu_problems, limit_problem
    from lrstudy.tuning.start import make_importable
    from lrstudy.tuning.study_check import why_one_split
    from lrstudy.tuning.time_estimate import Estimate, estimate_function, estimate_seconds

    spec = load_study(study, set_ or [])
    make_importable([study.resolve().parent, Path.cwd()])
    with output_to_stderr():  # users' code may print
        checked = check_parts(spec, study)
        if checked.problems and not checked.lacks_only_data:
            raise InputError(checked.problems)
        if spec.function is not None:
            estimate = estimate_function(spec, _earlier(spec, out))
        elif checked.data is None:
            estimate = Estimate(None, str(checked.missing[0]).rstrip("."))
        else:
            estimate = estimate_seconds(spec, checked.data, _earlier(spec, out))
    show_warnings(checked.warnings)
    measured = None if like is None else measured_in(open_store(like))
    cost = estimate_cost(spec, estimate)
    planned: dict[str, Any] = plan_of(spec, estimate, why_one_split(spec, checked.data), measured, cost)
    if as_json:
        typer.echo(json.dumps(planned, indent=2))
    else:
        show_plan(console(), planned)
    problems = [locate(problem, study) for problem in (limit_problem(cost), *gpu_problems(spec)) if problem]
    if problems:
        raise InputError(problems)


def _earlier(study: Study, out: str) -> Store | None:
    """Return the run of this study below ``out``; None if there is none."""
    from lrstudy.errors import StoreError
    from lrstudy.store import open_location, open_store, study_folder

    try:
        return open_store(study_folder(open_location(out), study.name))
    except StoreError:
        return None
