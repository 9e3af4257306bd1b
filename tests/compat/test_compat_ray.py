"""The private names of Ray that lrstudy uses are where it looks for them; these tests fail when one moves."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray._private import node, parameter, ray_constants, services, utils

from lrstudy.compat import ray as compat
from lrstudy.compat.ray import (
    ENVIRONMENT,
    PENDING_TRIALS,
    TALKATIVE_LOGGERS,
    few_helpers,
    loopback_only,
    own_session,
    own_signal_handlers,
    start_local_ray,
)
from lrstudy.compat.train import TRAIN_ENVIRONMENT

RAY = Path(ray.__file__).parent


# -- names that are only texts ----------------------------------------------------------------------------


def test_every_environment_variable_is_one_that_ray_reads() -> None:
    folders = ("tune", "train", "air", "_private", "_common")
    sources = "".join(
        file.read_text(encoding="utf-8") for folder in folders for file in (RAY / folder).rglob("*.py")
    )
    raylet = (RAY / "core/src/ray/raylet/raylet").read_bytes()
    for name in (*ENVIRONMENT, *TRAIN_ENVIRONMENT, PENDING_TRIALS):
        if name.isupper():
            assert f'"{name}"' in sources, name
        else:
            assert name.removeprefix("RAY_").encode() in raylet, name


def test_every_talkative_logger_is_a_modules() -> None:
    for name in TALKATIVE_LOGGERS:
        assert importlib.util.find_spec(name) is not None, name


# -- the start of Ray's processes ---------------------------------------------------------------------------


def test_ray_starts_without_the_three_helpers_in_the_block_only() -> None:
    usual, server = parameter.RayParams, services.start_api_server
    assert "services.start_api_server(" in inspect.getsource(node.Node.start_api_server)
    with few_helpers():
        assert services.start_api_server(False, raise_on_failure=False) == (None, None)
        made = parameter.RayParams()
        assert (made.include_log_monitor, made.no_monitor) == (False, True)
    assert parameter.RayParams is usual
    assert services.start_api_server is server
    assert (usual().include_log_monitor, usual().no_monitor) != (False, True)


@pytest.mark.parametrize("before", [None, "1"])
def test_ray_keeps_the_loopback_address_in_the_block_only(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    with loopback_only():
        assert os.environ[name] == "0"
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert os.environ.get(name) == before
    assert ray_constants.ENABLE_RAY_CLUSTER is True
    assert "ENABLE_RAY_CLUSTER" in inspect.getsource(services), "another module decides on the address"


def test_ray_installs_no_signal_handlers_in_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_constants, "RAY_DISABLE_FAILURE_SIGNAL_HANDLER", False)
    with own_signal_handlers():
        assert ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER is True
    assert ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER is False


@pytest.mark.skipif(sys.platform != "linux", reason="Ray has no such hook elsewhere")
def test_what_ray_starts_in_the_block_has_another_session() -> None:
    assert "set_kill_on_parent_death_linux" in inspect.getsource(services)
    usual = utils.set_kill_on_parent_death_linux
    sessions = []
    for block in (own_session(), None):
        if block is not None:
            block.__enter__()
        show = [sys.executable, "-c", "import os; print(os.getsid(0))"]
        found = subprocess.run(
            show, preexec_fn=utils.set_kill_on_parent_death_linux, capture_output=True, text=True, check=True
        )
        sessions.append(int(found.stdout))
        if block is not None:
            block.__exit__(None, None, None)
    assert sessions[0] != os.getsid(0)
    assert sessions[1] == os.getsid(0)
    assert utils.set_kill_on_parent_death_linux is usual


def _started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    started: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        started.append(options)

    init.__doc__ = inspect.getdoc(ray.init)
    monkeypatch.setattr(ray, "init", init)
    return started


def test_ray_is_started_on_the_loopback_address(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _started(monkeypatch)
    start_local_ray(log_to_driver=False)
    [options] = started
    assert options.pop("_node_ip_address") == "127.0.0.1", "ray.init has no such option any more"
    assert options == {"address": "local", "include_dashboard": False, "log_to_driver": False}


def test_ray_starts_when_all_that_is_private_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _started(monkeypatch)
    ray.init.__doc__ = "Connect to a cluster."

    def gone(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(compat.importlib, "import_module", gone)
    start_local_ray()
    assert started == [{"address": "local", "include_dashboard": False}]
    monkeypatch.setattr(compat.importlib, "import_module", lambda _: SimpleNamespace())
    start_local_ray()
    assert len(started) == 2


def test_no_command_needs_a_private_module_of_ray_to_start() -> None:
    code = """
import sys
import ray  # what it imports itself is its own affair
held = {name for name in sys.modules if name.startswith("ray._private")}

class Moved:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("ray._private") or name.startswith("ray.tune.execution"):
            frame = sys._getframe()
            while frame is not None:
                if "lrstudy" in frame.f_globals.get("__name__", ""):
                    raise ModuleNotFoundError(name)
                if frame.f_globals.get("__name__", "").startswith("ray."):
                    return None
                frame = frame.f_back
        return None

sys.meta_path.insert(0, Moved())
import lrstudy.cli.app
import lrstudy.tuning.cluster.session
import lrstudy.tuning.driver.searcher
"""
    subprocess.run([sys.executable, "-c", code], check=True)
