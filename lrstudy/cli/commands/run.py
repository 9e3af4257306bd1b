"""``lrstudy run``: the whole study, from the study file to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import OutOption, SetOption, StudyArgument
from lrstudy.errors import EXIT_TRIALS_FAILED, StudyStoppedError


@app.command()
def run(
    study: StudyArgument,
    out: OutOption = "runs",
    reports: Annotated[Path, typer.Option(help="Where the report goes: REPORTS/<study>/.")] = Path("reports"),
    set_: SetOption = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster; without it, this machine.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")] = False,
) -> None:
    """Tune every schedule, re-run the winners on fresh seeds, write the report. Run it again to resume."""
    from lrstudy.cli.live import show_progress
    from lrstudy.cli.output import console
    from lrstudy.cli.verdict import finish_report, report_folder
    from lrstudy.spec import load_study
    from lrstudy.tuning import prepare

    spec = load_study(study, set_ or [])
    screen = console()
    folder = report_folder(reports, spec.name)
    own = (study.resolve().parent, Path.cwd())
    with prepare(spec, out, address=address, search_path=own, also_written=[folder]) as ready:
        if not ready.run.done:
            with show_progress(screen, ready.run.progress, spec.target.metric, quiet=quiet) as on_change:
                ready.start(on_change)
    if not ready.run.done:
        left = ready.run.remaining
        raise StudyStoppedError(f"stopped with {left} trials to go; to continue: {_again(study, out, set_)}")
    finish_report(screen, ready.location, folder)
    if failures := ready.run.failures:
        first = failures[0]
        typer.echo(f"{len(failures)} trials failed; {first.trial_id}:\n{first.error}", err=True)
        raise typer.Exit(EXIT_TRIALS_FAILED)


def _again(study: Path, out: str, overrides: list[str] | None) -> str:
    import shlex

    words = ["lrstudy", "run", str(study), *(["--out", out] if out != "runs" else [])]
    for override in overrides or []:
        words += ["--set", override]
    return shlex.join(words)
