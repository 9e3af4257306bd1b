"""``lrstudy run``: a whole study, from the study file to the report."""

from __future__ import annotations

from pathlib import Path

from lrstudy.cli.app import app
from lrstudy.cli.options import (
    AddressOption,
    OutOption,
    QuietOption,
    ReportsOption,
    SetOption,
    StudyArgument,
)


@app.command()
def run(
    study: StudyArgument,
    out: OutOption = "runs",
    reports: ReportsOption = None,
    set_: SetOption = None,
    address: AddressOption = None,
    quiet: QuietOption = False,
) -> None:
    """Tune every schedule, re-run the winners on fresh seeds, write the report. Run it again to resume.

    Ctrl-C ends trials after their next evaluation, keeps all results and prints the command to continue;
    pressed twice it stops at once.
    """
    from lrstudy.cli.views.run import RunOptions, run_study
    from lrstudy.spec import load_study
    from lrstudy.spec.study_file_lines import located_in

    spec = load_study(study, set_ or [])
    with located_in(study):
        own = (study.resolve().parent, Path.cwd())
        run_study(spec, out, RunOptions(reports, address, quiet), own, study_file=str(study))
