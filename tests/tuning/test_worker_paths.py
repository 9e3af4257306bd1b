"""Where workers look for modules: never in the driver's folder before what is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.job_config import JobConfig

from lrstudy.compat.ray import pathless_job


def test_ray_still_has_the_list_that_workers_search_first() -> None:
    usual = JobConfig()
    assert usual._py_driver_sys_path == []
    usual._py_driver_sys_path.extend(["/here"])
    assert list(usual._get_proto_job_config().py_driver_sys_path) == ["/here"]


def test_what_ray_adds_to_that_list_is_dropped() -> None:
    job = pathless_job()
    job._py_driver_sys_path.extend(["/here"])
    assert list(job._get_proto_job_config().py_driver_sys_path) == []


@pytest.mark.cluster
def test_a_worker_does_not_have_the_drivers_folder_on_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from lrstudy.spec import Resources
    from lrstudy.tuning.cluster.session import ray_session

    monkeypatch.chdir(tmp_path)
    with ray_session(None, Resources()):
        look = ray.remote(lambda: __import__("sys").path)
        assert str(tmp_path) not in ray.get(look.remote())
