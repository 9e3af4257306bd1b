"""``lrstudy submit``: a study as a job of a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import ServerOption, SetOption, StudyArgument


@app.command()
def submit(
    study: StudyArgument,
    address: ServerOption,
    out: Annotated[
        str, typer.Option(help="Folder of runs: a URI or an absolute path that every node reaches.")
    ],
    reports: Annotated[
        Path | None,
        typer.Option(help="Absolute path for the report; default the run's folder, unless that is a URI."),
    ] = None,
    set_: SetOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show the job's output until it ends.")] = False,
    working_dir: Annotated[
        Path, typer.Option(help="Folder to upload: it contains the study's file and modules.")
    ] = Path(),
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]",
            help="A variable of the job; without a value, the one set here. Repeatable.",
        ),
    ] = None,
    pip: Annotated[
        list[str] | None,
        typer.Option(metavar="PACKAGE", help="A package to install for the job; repeatable."),
    ] = None,
    python: Annotated[str, typer.Option(help="The cluster's Python that has lrstudy.")] = "python",
    submission_id: Annotated[str | None, typer.Option(metavar="NAME", help="The job's name.")] = None,
) -> None:
    """Run a study on a Ray cluster, as a job that continues when this machine is switched off.

    A job that ended early continues when the same study is submitted again. The values of --env are passed
    to Ray and kept out of everything that lrstudy writes or prints.
    """
    from lrstudy.cli.views.jobs import follow_job
    from lrstudy.cli.views.submit import job_request
    from lrstudy.tuning.cluster.job_client import JobServer

    request = job_request(
        study, set_ or [], out, reports, working_dir, env or [], pip or [], python, submission_id
    )
    server = JobServer(address)
    name = server.submit(request)
    typer.echo(f"submitted {name}")
    if follow:
        follow_job(server, name)
    else:
        typer.echo(f"its output: lrstudy jobs logs {name} --follow --address {address}")
