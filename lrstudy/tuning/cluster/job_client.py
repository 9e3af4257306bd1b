"""Studies as jobs of a Ray cluster's job server: submitted, listed, followed and stopped over HTTP.

A job is ``lrstudy run`` on the cluster's head. Environment values go to Ray with the job and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from lrstudy.compat.ray import TALKATIVE_LOGGERS
from lrstudy.errors import ClusterError, Problem
from lrstudy.tuning.cluster.session import AUTHENTICATE

_REACH_SECONDS: Final = 10.0
# Ray prefers these to the address that it is given.
_OVERRIDING: Final = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A command for the cluster to run: lrstudy's arguments after ``run``, with folder and environment.

    ``working_dir`` is uploaded, except ``excludes``; ``env`` and ``pip`` are Ray's runtime environment.
    """

    words: Sequence[str]
    study: str
    working_dir: Path
    python: str = "python"
    name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    pip: Sequence[str] = ()
    excludes: Sequence[str] = ()

    @property
    def entrypoint(self) -> str:
        """The command line that the cluster's head runs."""
        return f"{self.python} -m lrstudy run {shlex.join(self.words)} --address auto"


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """A job's state on the server, without its environment."""

    name: str
    state: str
    study: str
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    message: str

    @property
    def ended(self) -> bool:
        """Return True if the job no longer runs."""
        return JobStatus(self.state).is_terminal()


_LOOK_SECONDS: Final = 0.2


class JobServer:
    """The job server of a cluster's head, ``http://HEAD:8265``.

    Raises ``ClusterError`` if none answers, if it refuses the token, or if Ray's job client is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        _reach(address)
        with self._translated():
            self._client = _client(address)

    def submit(self, request: JobRequest) -> str:
        """Start a job and return its name; raises ``ClusterError`` for a name that is taken."""
        environment: dict[str, Any] = {"working_dir": str(request.working_dir)}
        if request.excludes:
            environment["excludes"] = list(request.excludes)
        if request.env:
            environment["env_vars"] = dict(request.env)
        if request.pip:
            environment["pip"] = list(request.pip)
        with self._translated(request.name):
            name: str = self._client.submit_job(
                entrypoint=request.entrypoint,
                submission_id=request.name,
                runtime_env=environment,
                metadata={"study": request.study},
            )
        return name

    def jobs(self) -> list[ClusterJob]:
        """Return every job that was submitted, the latest first."""
        with self._translated():
            jobs = [_job(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(jobs, key=lambda job: job.started_at or datetime.now(UTC), reverse=True)

    def job(self, name: str) -> ClusterJob:
        """Return one job; raises ``ClusterError`` if no job has this name."""
        with self._translated(name):
            return _job(self._client.get_job_info(name))

    def logs(self, name: str) -> str:
        """Return the output of a job so far."""
        with self._translated(name):
            text: str = self._client.get_job_logs(name)
        return text

    def follow(self, name: str, show: Callable[[str], None]) -> ClusterJob:
        """Pass a job's output to ``show``, from its beginning until the job ends.

        The connection is in a thread, so that Ctrl-C ends the wait immediately, even if the server hangs.
        """
        failed: list[BaseException] = []

        async def pass_on() -> None:
            lines: AsyncIterator[str] = self._client.tail_job_logs(name)
            async for text in lines:
                show(text)

        def read() -> None:
            try:
                asyncio.run(pass_on())
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                failed.append(error)

        self.job(name)  # raises for an unknown name
        with self._translated(name), warnings.catch_warnings():
            # Ray passes aiohttp a value that aiohttp has deprecated.
            warnings.filterwarnings("ignore", "ssl=None", DeprecationWarning)
            reader = Thread(target=read, name="lrstudy-follow", daemon=True)
            reader.start()
            while reader.is_alive():
                reader.join(_LOOK_SECONDS)
            if failed:
                raise failed[0]
        return self.job(name)

    def stop(self, name: str) -> bool:
        """Stop a job; return True if it was running, and False if it had ended already."""
        with self._translated(name):
            stopped: bool = self._client.stop_job(name)
        return stopped

    @contextlib.contextmanager
    def _translated(self, name: str | None = None) -> Iterator[None]:
        """Turn the client's exceptions into ``ClusterError``."""
        try:
            yield
        except AuthenticationError as error:
            message = str(error).splitlines()[0]
            raise ClusterError(
                Problem(
                    "--address",
                    "",
                    f"refuses: {message}",
                    f"{AUTHENTICATE[0].upper()}{AUTHENTICATE[1:]}",
                    self.address,
                )
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(_problem(error, name, self.address)) from error


def _problem(error: Exception, name: str | None, address: str) -> Problem:
    text = str(error)
    if "ray[default]" in text:
        remedy = "Install it: pip install 'lrstudy[cluster]'"
        return Problem("submit", "", "Ray's job client is not installed", remedy)
    if name is not None and "already exists" in text:
        remedy = "Choose another --submission-id, or none: lrstudy jobs list shows those that are taken."
        return Problem("--submission-id", "", "a job of this name exists", remedy, name)
    if name is not None and "does not exist" in text:
        remedy = f"lrstudy jobs list --address {address} shows the jobs that exist."
        return Problem(address, "JOB", "no job has this name", remedy, name)
    cause = (text.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return Problem("--address", "", f"the job server failed: {cause}", "See its logs.", address)


def _reach(address: str) -> None:
    """Raise ``ClusterError`` if nothing listens at the address: Ray's client would wait without limit."""
    parts = urlsplit(address)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        remedy = "Give its dashboard's address: http://HEAD:8265"
        raise ClusterError(Problem("--address", "", "is not a job server's address", remedy, address))
    try:
        socket.create_connection((parts.hostname, port), timeout=_REACH_SECONDS).close()
    except OSError as error:
        remedy = "Check that the cluster runs, with its dashboard, and that this machine reaches it."
        cause = error.strerror or str(error)
        raise ClusterError(
            Problem("--address", "", f"no job server answers: {cause}", remedy, address)
        ) from error


def _client(address: str) -> Any:
    for name in TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    held = {name: os.environ.pop(name) for name in _OVERRIDING if name in os.environ}
    try:
        return JobSubmissionClient(address)
    finally:
        os.environ.update(held)


def _job(details: Any) -> ClusterJob:
    return ClusterJob(
        name=details.submission_id,
        state=str(getattr(details.status, "value", details.status)),
        study=(details.metadata or {}).get("study", ""),
        started_at=_moment(details.start_time),
        ended_at=_moment(details.end_time),
        exit_code=details.driver_exit_code,
        message=details.message or "",
    )


def _moment(milliseconds: int | None) -> datetime | None:
    return None if not milliseconds else datetime.fromtimestamp(milliseconds / 1000, UTC)
