"""``lrstudy jobs``: the studies that were submitted to a Ray cluster."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lrstudy.cli.app import App, app
from lrstudy.cli.options import JsonOption, ServerOption

jobs_app = App(no_args_is_help=True, help="The jobs of a Ray cluster.")
app.add_typer(jobs_app, name="jobs")

_Name = Annotated[str, typer.Argument(metavar="JOB", help="A job's name.", show_default=False)]


@jobs_app.command("list")
def list_(address: ServerOption, as_json: JsonOption = False) -> None:
    """List the jobs that were submitted, the latest first."""
    from lrstudy.cli.output import console
    from lrstudy.cli.views.jobs import job_data, show_jobs
    from lrstudy.tuning.cluster.job_client import JobServer

    jobs = JobServer(address).jobs()
    if as_json:
        typer.echo(json.dumps(job_data(jobs), indent=2))
    elif jobs:
        show_jobs(console(), jobs)
    else:
        typer.echo("no jobs")


@jobs_app.command()
def logs(
    job: _Name,
    address: ServerOption,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print until the job ends; then exit with its exit code.")
    ] = False,
) -> None:
    """Print the output of a job."""
    from lrstudy.cli.views.jobs import follow_job
    from lrstudy.tuning.cluster.job_client import JobServer

    server = JobServer(address)
    if follow:
        follow_job(server, job)
    server.job(job)
    typer.echo(server.logs(job), nl=False)


@jobs_app.command()
def stop(job: _Name, address: ServerOption) -> None:
    """End a job at once; submit the study again to continue from its checkpoints.

    ``lrstudy stop RUN`` is gentler, if the run's folder can be reached from here: running trials end after
    their next evaluation.
    """
    from lrstudy.tuning.cluster.job_client import JobServer

    stopped = JobServer(address).stop(job)
    typer.echo(f"asked {job} to stop" if stopped else f"{job} had ended already")
