"""``lrstudy jobs``: what was submitted to a Ray cluster."""

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
    """Every job that was submitted, the latest first."""
    from rich.table import Table
    from rich.text import Text

    from lrstudy.cli.output import console
    from lrstudy.cli.views.submit import told_jobs
    from lrstudy.tuning.cluster.job_client import JobServer

    found = told_jobs(JobServer(address).jobs())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("no jobs")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for heading in ("job", "state", "study", "started"):
        table.add_column(heading, overflow="fold")
    for job in found:
        started = str(job["started_at"] or "")[:19].replace("T", " ")
        table.add_row(*(Text(str(cell)) for cell in (job["job"], job["state"], job["study"], started)))
    console().print(table)


@jobs_app.command()
def logs(
    job: _Name,
    address: ServerOption,
    follow: Annotated[
        bool, typer.Option("--follow", help="Until it ends; its exit code is the job's.")
    ] = False,
) -> None:
    """What a job has printed."""
    from lrstudy.cli.views.submit import follow_job
    from lrstudy.tuning.cluster.job_client import JobServer

    server = JobServer(address)
    if follow:
        follow_job(server, job)
    server.job(job)
    typer.echo(server.logs(job), nl=False)


@jobs_app.command()
def stop(job: _Name, address: ServerOption) -> None:
    """End a job at once; submit the study again and it goes on from its checkpoints.

    ``lrstudy stop RUN`` is gentler where its folder can be reached: running epochs end first.
    """
    from lrstudy.tuning.cluster.job_client import JobServer

    stopped = JobServer(address).stop(job)
    typer.echo(f"asked {job} to stop" if stopped else f"{job} had ended already")
