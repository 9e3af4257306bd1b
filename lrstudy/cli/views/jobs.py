"""The jobs of a Ray cluster: a table of them, and the output of one until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from lrstudy.cli.terminal_table import table, words
from lrstudy.errors import EXIT_INTERRUPTED, EXIT_TRIALS_FAILED

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.tuning.cluster.job_client import ClusterJob, JobServer


def follow_job(server: JobServer, name: str) -> NoReturn:
    """Show a job's output until it ends, then end with its exit code; Ctrl-C ends the display only."""
    try:
        job = server.follow(name, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        again = f"lrstudy jobs logs {name} --follow --address {server.address}"
        typer.echo(f"\n{name} keeps running; to see its output again: {again}", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    typer.echo(f"{name}: {job.state.lower()}", err=True)
    raise typer.Exit(_exit_code(job))


def _exit_code(job: ClusterJob) -> int:
    if job.state == "SUCCEEDED":
        return 0
    # A job that never started has no exit code; one that a signal ended has a negative one.
    return job.exit_code if job.exit_code is not None and job.exit_code > 0 else EXIT_TRIALS_FAILED


def job_data(jobs: Sequence[ClusterJob]) -> list[dict[str, str | int | None]]:
    """Return jobs as plain data."""
    return [
        {
            "job": job.name,
            "state": job.state.lower(),
            "study": job.study,
            "started_at": job.started_at.isoformat() if job.started_at else None,
            "ended_at": job.ended_at.isoformat() if job.ended_at else None,
            "exit_code": job.exit_code,
        }
        for job in jobs
    ]


def show_jobs(console: Console, jobs: Sequence[ClusterJob]) -> None:
    """Print a row per job, in their order."""
    starts = ["" if job.started_at is None else f"{job.started_at:%Y-%m-%d %H:%M:%S}" for job in jobs]
    rows = [(job.name, job.state.lower(), job.study, start) for job, start in zip(jobs, starts, strict=True)]
    console.print(table(map(words, ("job", "state", "study", "started")), rows))
