"""A connection to Ray for the duration of one study: quiet, local unless an address is given."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import ray

import lrstudy
from lrstudy.compat.ray import ENVIRONMENT, PENDING_TRIALS, join_ray, pathless_job, start_local_ray
from lrstudy.errors import ClusterError, Problem, did_you_mean
from lrstudy.spec import Resources
from lrstudy.tuning.cluster.machine import check_machine, provide_token, temporary_folder
from lrstudy.tuning.cluster.reaper import VARIABLE, reaper
from lrstudy.tuning.cluster.signals import signals_deferred, signals_kept
from lrstudy.tuning.resource_request import KIND, needs, worker_count

_REACH_SECONDS: Final = 10.0
# A start that fails after this time has run into a timeout; the shortest of Ray's is 20 s.
_SLOW_SECONDS: Final = 15.0
_TRACEBACK: Final = "Traceback (most recent call last):"
AUTHENTICATE: Final = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's token, which "
    "ray get-auth-token prints on the head"
)


@contextlib.contextmanager
def ray_session(address: str | None, resources: Resources) -> Iterator[str]:
    """Connect to a cluster, or start Ray on this machine; ends every process that it started.

    Yields the folder of Ray's own files, on each of its machines.

    Raises ``ClusterError`` if the cluster cannot be reached, or if it lacks the study's ``[resources]`` even
    for a single trial.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with contextlib.ExitStack() as stack:
        mark = ""
        if address is None:
            _raise_problems([*check_local(resources), *check_machine()])
            mark = stack.enter_context(reaper())
        stack.callback(_disconnect)
        began = time.monotonic()
        try:
            _reach(address)
            with signals_kept():
                folder = _connect(address, mark, resources.gpus)
            available = _cluster_resources()
        except Exception as error:  # Ray raises a bare Exception, too
            raise ClusterError(_connection_problem(address, error, time.monotonic() - began)) from error
        _raise_problems(_missing_resources(resources, available, _machines()))
        # With a searcher Tune keeps one trial pending. If trials are shorter than a worker's start, that one
        # is given to the first free worker, and a second worker is never started.
        os.environ.setdefault(PENDING_TRIALS, str(16 + int(available.get("CPU", 0))))
        yield folder


def _disconnect() -> None:
    """Disconnect from Ray; an exception here must hide neither the study's end nor an earlier error.

    Interrupted halfway, Ray's client would wait at this process's exit for a server that has ended by then,
    for a minute, and then end the process from its C++ code with exit code 1.
    """
    try:
        with signals_deferred():
            ray.shutdown()
    except Exception:  # Ray raises a bare Exception, too
        logging.getLogger(__name__).warning("Ray did not shut down", exc_info=True)


def _connection_problem(address: str | None, error: Exception, seconds: float) -> Problem:
    cause = _cause(error)
    if address is None:
        logs = f"Ray's own logs: {temporary_folder()[0] / 'ray' / 'session_latest' / 'logs'}"
        if seconds >= _SLOW_SECONDS:
            message = f"did not start within {seconds:.0f} s: {cause}"
            remedy = "The machine is busy or short of memory: end other work on it, then try again."
            return Problem("Ray", "", message, f"{remedy} {logs}.")
        remedy = f"{logs}. Check the RAY_* variables of your shell too: Ray reads them."
        return Problem("Ray", "", f"does not start on this machine: {cause}", remedy)
    remedy = (
        "Check that the cluster runs and that the address is its head's; leave it out to run here. "
        f"A cluster with token authentication does not answer without one: {AUTHENTICATE}."
    )
    return Problem("--address", "", f"no Ray cluster answers: {cause}", remedy, address)


def _cause(error: Exception) -> str:
    """Return an exception's text on one line; of a traceback in it, only the exception.

    >>> _cause(RuntimeError("Failed to start GCS.  Last 0 lines of error files:\\n\\n.Please check gcs.out"))
    'Failed to start GCS. Please check gcs.out'
    """
    text, _, stack = str(error).partition(_TRACEBACK)
    # Ray lists the last lines of a log; there may be none.
    text = re.sub(r"Last 0 lines of error files:\s*\.?", "", text)
    words = [
        *text.split(),
        *next((line for line in reversed(stack.splitlines()) if line.strip()), "").split(),
    ]
    return " ".join(words).rstrip(".:") or type(error).__name__


def check_cluster(address: str, resources: Resources) -> None:
    """Connect and disconnect; raises ``ClusterError`` as ``ray_session`` does."""
    with ray_session(address, resources):
        pass


def _reach(address: str | None) -> None:
    """Raise ``OSError`` if nothing listens at the address: Ray would try for an hour."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        return  # "auto", or a name that only Ray can look up
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS):
        pass


def _connect(address: str | None, mark: str, gpus: float) -> str:
    # The output of workers stays in Ray's files; later log records of this process are for the run's log.
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not _runs_from_checkout():
        quiet["job_config"] = pathless_job()
    session: Any
    if address is not None:
        session = join_ray(address, **quiet)
    else:
        provide_token()
        quiet |= _uncounted_gpu(gpus)
        with _marked(mark):
            session = start_local_ray(**quiet)
    return str(session.address_info["session_dir"])


def _uncounted_gpu(gpus: float) -> dict[str, Any]:
    """Return the option that tells Ray of an Apple GPU, if a study asks for GPUs."""
    if gpus == 0:
        return {}  # without torch's import
    from lrstudy.tuning.gpus import apple_gpu

    return {"num_gpus": 1} if apple_gpu() else {}


def _runs_from_checkout() -> bool:
    """Return True if lrstudy is imported from the current folder or the script's, as in a checkout."""
    here = Path(lrstudy.__file__).parents[1]
    return here in (Path.cwd(), Path(sys.argv[0]).resolve().parent)


@contextlib.contextmanager
def _marked(mark: str) -> Iterator[None]:
    """Let the processes that Ray starts in the block, and their children, inherit the reaper's mark."""
    os.environ[VARIABLE] = mark
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)


def _cluster_resources() -> dict[str, float]:
    resources: Callable[[], dict[str, float]] = ray.cluster_resources  # Ray does not annotate it
    return resources()


def _machines() -> list[dict[str, Any]]:
    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes  # Ray does not annotate it
    return nodes()


def cluster_size() -> str:
    """Return a short description of the size of the running session's cluster."""
    alive = sum(bool(node["Alive"]) for node in _machines())
    total = _cluster_resources()
    parts = [f"{alive} node{'s' if alive > 1 else ''}", f"{total.get('CPU', 0):g} CPUs"]
    return ", ".join([*parts, f"{total['GPU']:g} GPUs"] if total.get("GPU") else parts)


def check_local(resources: Resources) -> list[Problem]:
    """Return the resources that this machine lacks for a single trial, with all of its workers.

    The kind of accelerator is not checked: only Ray knows it.
    """
    available = {"CPU": float(os.cpu_count() or 1), "GPU": 0.0}
    if resources.gpus > 0:
        from lrstudy.tuning.gpus import apple_gpu, gpu_count

        available["GPU"] = float(gpu_count())
        if resources.workers > 1 and apple_gpu():
            message = "are not trained together on an Apple GPU"
            remedy = "Set resources.workers = 1, or resources.gpus = 0."
            return [Problem("study", "resources.workers", message, remedy, resources.workers)]
    here = resources.model_copy(update={"accelerator": ""})
    return _missing_resources(here, available, [{"Alive": True, "Resources": available}])


def _missing_resources(
    resources: Resources, available: Mapping[str, float], machines: list[dict[str, Any]]
) -> list[Problem]:
    """Return the problems of a study on machines that have these resources in all."""
    problems = []
    for key, name, required in (("cpus", "CPU", resources.cpus), ("gpus", "GPU", resources.gpus)):
        total = available.get(name, 0.0)
        if required > total:
            message = f"a trial asks for {required:g} {name}s, and {total:g} are available"
            remedy = f"Lower resources.{key} to at most {total:g}, or use a cluster that has more."
            problems.append(Problem("study", f"resources.{key}", message, remedy, required))
    kind = resources.accelerator
    if kind and KIND + kind not in available:
        kinds = sorted(name.removeprefix(KIND) for name in available if name.startswith(KIND))
        remedy = did_you_mean(kind, kinds) if kinds else "Leave it out, or use a cluster that has it."
        message = "no machine of the cluster has such an accelerator"
        problems.append(Problem("study", "resources.accelerator", message, remedy, kind))
    if not problems and (fit := worker_count(needs(resources), machines)) < resources.workers:
        each = f"{resources.cpus} CPUs" + (f" and {resources.gpus:g} GPUs" if resources.gpus else "")
        message = f"a trial asks for {resources.workers} workers of {each}, and there is room for {fit}"
        remedy = f"Lower resources.workers to at most {fit}, or use a cluster that has more."
        problems.append(Problem("study", "resources.workers", message, remedy, resources.workers))
    return problems


def _raise_problems(problems: list[Problem]) -> None:
    if problems:
        raise ClusterError(problems)
