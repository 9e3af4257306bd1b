"""The private names of Ray Train that lrstudy uses are where it looks; a test fails when one moves."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import cloudpickle
import pytest
from ray._private import ray_constants
from ray.exceptions import RayActorError, RayTaskError
from ray.experimental import internal_kv
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api import data_parallel_trainer

from lrstudy.compat.train import lost_worker, no_idle_cleaner


def test_the_process_that_a_trainer_lost_is_known() -> None:
    died = RayActorError(error_msg="killed")
    failed = WorkerHealthCheckFailedError("A worker health check failed.", failure=died)
    assert lost_worker(WorkerGroupError("", {0: RuntimeError("peer"), 1: failed})) is died
    assert lost_worker(died) is died
    assert lost_worker(WorkerGroupError("", {0: ValueError("the user's")})) is None
    assert lost_worker(RayTaskError("run", "a traceback", ValueError("x"))) is None


def test_the_names_of_the_cleaner_and_of_the_dashboards_address_are_there() -> None:
    source = inspect.getsource(data_parallel_trainer.DataParallelTrainer)
    assert "= PlacementGroupCleanerCallback()" in source
    assert next(iter(inspect.signature(internal_kv._internal_kv_get).parameters)) == "key"
    assert ray_constants.DASHBOARD_ADDRESS
    assert ray_constants.KV_NAMESPACE_DASHBOARD


@pytest.mark.parametrize("address", [None, b"127.0.0.1:8265"])
def test_a_trainer_has_a_cleaner_only_where_a_dashboard_runs(
    monkeypatch: pytest.MonkeyPatch, address: bytes | None
) -> None:
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda key, namespace: address)
    usual = data_parallel_trainer.PlacementGroupCleanerCallback
    with no_idle_cleaner():
        used = data_parallel_trainer.PlacementGroupCleanerCallback
        assert (used is usual) is (address is not None)
        if address is None:  # it goes to the controller's process, and starts nothing there
            cleaner = cloudpickle.loads(cloudpickle.dumps(used()))
            cleaner.after_controller_start(SimpleNamespace(run_id="a run"))
            cleaner.after_worker_group_start(SimpleNamespace())
            cleaner.before_controller_abort()
    assert data_parallel_trainer.PlacementGroupCleanerCallback is usual
