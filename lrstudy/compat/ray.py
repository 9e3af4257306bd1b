"""Names of Ray beyond its public interface: how its processes start.

Checked with Ray 2.55 to 2.60. Each function names the upstream file that it mirrors and what happens where
the name is missing; ``tests/compat`` fails when the installed Ray no longer has it. Nothing private is
imported with this module, so that no command fails to start because Ray moved something.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import ray
from ray.job_config import JobConfig

ENVIRONMENT: Final[Mapping[str, str]] = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # SIGTERM would print a stack of C++ and end a worker at once; of the driver see own_signal_handlers.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    # Tune sets environment variables for its workers: none of those started ahead would be used.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C is the command line's: Tune's handler ends trials in the middle of an epoch.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Tune's snapshots are never restored from: the store is the truth.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}
"""Environment variables for a session, most of them undocumented; Ray ignores one that it does not know.

Without them Tune writes a JSON, a CSV and a TensorBoard file per trial, moves each worker into a folder for
its trial (which breaks relative paths), prints every error twice, and reports usage to a server; and Ray
starts a worker for each core that stays idle. ``ray/tune/constants.py``, ``ray/_private/ray_constants.py``;
a name in small letters is the raylet's.
"""

PENDING_TRIALS: Final = "TUNE_MAX_PENDING_TRIALS_PG"
"""The environment variable for the number of trials that Tune holds ready; ``ray/tune/constants.py``."""

TALKATIVE_LOGGERS: Final = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""The loggers of Ray's job client that report uploads and connections on standard error.

Named after their modules. Where one moves, its messages are printed.
"""

_LOOPBACK: Final = "127.0.0.1"
# What starts the server of the dashboard.
_START_SERVER: Final = "start_api_server"
# What a process of Ray calls on Linux between fork and exec, to end with the driver.
_BEFORE_EXEC: Final = "set_kill_on_parent_death_linux"


class _PathlessJob(JobConfig):
    # Ray appends the driver's folders to this list, in place; a new list each time drops what is appended.
    @property
    def _py_driver_sys_path(self) -> list[str]:
        return []

    @_py_driver_sys_path.setter
    def _py_driver_sys_path(self, value: list[str]) -> None:
        pass


def pathless_job() -> JobConfig:
    """Return a job whose workers do not look for modules in the driver's folders.

    ``ray/job_config.py`` and ``ray/_private/worker.py``, which adds the driver's current folder and its
    script's to a list that workers put before all that is installed: a ``timeit.py`` there ends every worker.
    Where Ray renames its list, the workers look there as they do for any job of Ray.
    """
    return _PathlessJob()


def start_local_ray(**options: Any) -> Any:
    """Start Ray on this machine, as ``ray.init`` with ``options`` does, for this driver alone.

    What it starts listens on the loopback address only, gets no signals of the driver's terminal, and leaves
    out three processes that nothing here needs. Each of the three holds as far as Ray has its private names.
    """
    # "local": a leftover file of a dead cluster must not be joined by accident.
    with loopback_only(), few_helpers(), own_session(), own_signal_handlers():
        return ray.init(address="local", include_dashboard=False, **_loopback_option(), **options)


def join_ray(address: str, **options: Any) -> Any:
    """Connect to a cluster, as ``ray.init`` with ``options`` does, and leave this process its signals."""
    with own_signal_handlers():
        return ray.init(address=address, **options)


@contextmanager
def own_signal_handlers() -> Iterator[None]:
    """Let a client of Ray that starts in the block leave this process's signals alone.

    Its handlers in C++ print a stack, and where it ends it resets SIGTERM to the default: from then on the
    signal would kill this process. ``ray/_private/ray_constants.py``, a constant that was read from the
    environment when Ray was imported. Where the name is missing, that is what happens.
    """
    constants, name = _private("ray_constants"), "RAY_DISABLE_FAILURE_SIGNAL_HANDLER"
    if not hasattr(constants, name):
        yield
        return
    with replaced(constants, name, True):
        yield


def _loopback_option() -> dict[str, Any]:
    # Listed among the hidden options of ray.init, which refuses one that it does not know.
    name = "_node_ip_address"
    return {name: _LOOPBACK} if name in (inspect.getdoc(ray.init) or "") else {}


@contextmanager
def loopback_only() -> Iterator[None]:
    """Let what Ray starts in the block keep the loopback address that it is given.

    On Linux Ray replaces it by the machine's own, which others reach. Where clusters of several machines are
    switched off it does not (``ray/_private/ray_constants.py``); what it starts reads that from the
    environment, this process has read it already. Where the names are missing, Ray chooses the address.
    """
    constants = _private("ray_constants")
    name = getattr(constants, "ENABLE_RAY_CLUSTERS_ENV_VAR", None)
    if name is None or not hasattr(constants, "ENABLE_RAY_CLUSTER"):
        yield
        return
    held = os.environ.get(name)
    os.environ[name] = "0"
    try:
        with replaced(constants, "ENABLE_RAY_CLUSTER", False):
            yield
    finally:
        if held is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = held


@contextmanager
def few_helpers() -> Iterator[None]:
    """Let Ray start in the block without three processes that nothing here needs.

    They cost two seconds of a core. One would send workers' output to the driver, which does not want it; one
    would start and stop machines; and one, for which Ray's start waits, serves a dashboard and reports usage.
    ``ray/_private/parameter.py``, ``ray/_private/services.py``; there is no public switch. Where Ray has no
    such switch at all, they are started.
    """
    with _without_server(), _without_monitors():
        yield


@contextmanager
def _without_monitors() -> Iterator[None]:
    parameter = _private("parameter")
    usual = getattr(parameter, "RayParams", None)
    if usual is None:
        yield
        return
    known = inspect.signature(usual).parameters
    off = {"include_log_monitor": False, "no_monitor": True}
    less = functools.partial(usual, **{key: off[key] for key in off if key in known})
    with replaced(parameter, "RayParams", less):
        yield


@contextmanager
def _without_server() -> Iterator[None]:
    services = _private("services")
    if not hasattr(services, _START_SERVER):
        yield
        return

    def none(*_given: Any, **_named: Any) -> tuple[None, None]:
        return None, None  # no address, no process

    with replaced(services, _START_SERVER, none):
        yield


@contextmanager
def own_session() -> Iterator[None]:
    """Start Ray's processes in the block in a session apart from the driver's.

    A signal to the driver's process group, or of its terminal, is for the driver alone: it lets running
    epochs end first, which needs Ray. ``ray/_private/services.py`` and ``ray/_private/utils.py``. Where Ray
    starts its processes in another way, they get the signal too.
    """
    utils = _private("utils")
    usual = getattr(utils, _BEFORE_EXEC, None)
    if usual is None:
        yield
        return

    def begin() -> None:
        usual()
        os.setsid()

    with replaced(utils, _BEFORE_EXEC, begin):
        yield


def _private(module: str) -> Any:
    """Return a module of ``ray._private``; None where it has moved."""
    return module_or_none(f"ray._private.{module}")


def module_or_none(name: str) -> Any:
    """Import a module; return None where it has moved."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Give a name of a module another value in the block."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)
