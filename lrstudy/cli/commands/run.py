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
    StudiesArgument,
)


@app.command()
def run(
    studies: StudiesArgument,
    out: OutOption = "runs",
    reports: ReportsOption = None,
    set_: SetOption = None,
    address: AddressOption = None,
    quiet: QuietOption = False,
) -> None:
    """Tune every schedule, re-run the winners on fresh seeds, write the report. Run it again to resume.

    Several studies run one after another and are compared.

    Ctrl-C ends trials after their next evaluation, keeps all results and prints the command to continue;
    pressed twice it stops at once.
    """
    from lrstudy.cli.views.run import RunOptions, run_study
    from lrstudy.spec import load_study
    from lrstudy.spec.study_file_lines import located_in

    if len(studies) > 1:
        from lrstudy.cli.views.suite import run_suite

        options = ["--out", out, *(word for one in set_ or [] for word in ("--set", one))]
        options += ["--reports", str(reports)] if reports is not None else []
        options += ["--address", address] if address is not None else []
        run_suite(studies, out, reports, [*options, *(["--quiet"] if quiet else [])], set_ or [])
        return
    (study,) = studies
    spec = load_study(study, set_ or [])
    with located_in(study):
        own = (study.resolve().parent, Path.cwd())
        run_study(spec, out, RunOptions(reports, address, quiet), own, study_file=str(study))
