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
        str, typer.Option(help="Where runs are kept: a URI or absolute path that every node reaches.")
    ],
    reports: Annotated[
        Path | None,
        typer.Option(
            help="An absolute path for the report; else it is in the run's folder, if that is no URI."
        ),
    ] = None,
    set_: SetOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show its output until it ends.")] = False,
    working_dir: Annotated[
        Path, typer.Option(help="What the job needs, uploaded: the study's file and modules.")
    ] = Path(),
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]", help="For the job's environment; alone: as it is here. Repeatable."
        ),
    ] = None,
    pip: Annotated[
        list[str] | None, typer.Option(metavar="PACKAGE", help="Installed for the job; repeatable.")
    ] = None,
    python: Annotated[str, typer.Option(help="The cluster's Python that has lrstudy.")] = "python",
    submission_id: Annotated[str | None, typer.Option(metavar="NAME", help="The job's name.")] = None,
) -> None:
    """Run a study on a Ray cluster, as a job: it goes on when this machine is switched off.

    A job that ended early goes on where it was when the same study is submitted again. The values of --env
    are handed to Ray and kept out of everything that lrstudy writes or prints.
    """
    from lrstudy.cli.views.submit import follow_job, job_request
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
