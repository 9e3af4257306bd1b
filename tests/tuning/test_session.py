"""Every way in which Ray does not start is one message with its cause and a remedy."""

from __future__ import annotations

import pytest
import ray

from lrstudy.errors import ClusterError
from lrstudy.spec import Resources
from lrstudy.tuning.cluster import session
from lrstudy.tuning.cluster.session import ray_session

GCS = (
    "Failed to start GCS.  Last 0 lines of error files:\n\n.Please check /tmp/gcs_server.out for details. "
    "Last connection error: Traceback (most recent call last):\n"
    '  File "node.py", line 1, in _init_gcs_client\n    client = GcsClient()\n'
    "ray.exceptions.RpcError: Deadline Exceeded\n"
)
RAISED = {
    "Ray's store of the cluster": (
        RuntimeError(GCS),
        "/tmp/gcs_server.out for details. Last connection error: ray.exceptions.RpcError: Deadline",
    ),
    "a bare exception": (Exception("The current node timed out during startup."), "timed out during startup"),
    "one of several lines": (RuntimeError("\n\nNo room:\n  /dev/shm\n"), "No room: /dev/shm"),
    "one without a text": (TimeoutError(), "TimeoutError"),
    "a start of processes that fails": (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
}


def told(address: str | None = None) -> str:
    with pytest.raises(ClusterError) as caught, ray_session(address, Resources()):
        pass
    assert caught.value.exit_code == 2
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("case", RAISED)
def test_a_start_that_fails_is_told_with_its_whole_cause(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    error, cause = RAISED[case]

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    assert "Ray: does not start on this machine: " in told()
    assert cause in told()
    assert "Last 0 lines" not in told()


def test_a_start_that_takes_too_long_is_told_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError(GCS)

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(session, "_SLOW_SECONDS", 0.0)
    assert "Ray: did not start within 0 s: Failed to start GCS" in told()
    assert "The machine is busy or short of memory: end other work on it, then try again." in told()


@pytest.mark.parametrize("address", [None, "auto"])
def test_a_ray_that_starts_and_then_does_not_answer_is_told_too(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    def fail() -> None:
        raise RuntimeError("Failed to get resources: Deadline Exceeded")

    monkeypatch.setattr(session, "_connect", lambda *_: "folder")
    monkeypatch.setattr(ray, "cluster_resources", fail)
    assert "Deadline Exceeded" in told(address)


def test_a_ray_that_cannot_be_left_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("the cause")

    def stuck() -> None:
        raise RuntimeError("no answer")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", stuck)
    assert "the cause" in told()


CPUS_4, CPUS_3 = {"CPU": 4.0}, {"CPU": 3.0}
GPUS_2 = {"CPU": 8.0, "GPU": 2.0}
WORKERS = {
    "as many as fit": (Resources(workers=4), [CPUS_4], None),
    "on two machines": (Resources(workers=7), [CPUS_4, CPUS_3], None),
    "one too many": (Resources(workers=5), [CPUS_4], "5 workers of 1 CPUs, and there is room for 4"),
    "not in the rest of each machine": (
        Resources(workers=3, cpus=2),
        [CPUS_3, CPUS_3],
        "3 workers of 2 CPUs, and there is room for 2",
    ),
    "GPUs decide": (
        Resources(workers=3, gpus=1),
        [GPUS_2],
        "3 workers of 1 CPUs and 1 GPUs, and there is room for 2",
    ),
}


@pytest.mark.parametrize("case", WORKERS)
def test_a_trial_with_all_of_its_workers_must_fit(case: str) -> None:
    resources, machines, message = WORKERS[case]
    total = {name: sum(each.get(name, 0.0) for each in machines) for name in ("CPU", "GPU")}
    nodes = [{"Alive": True, "Resources": each} for each in machines]
    problems = session._missing_resources(resources, total, nodes)
    assert len(problems) == (message is not None)
    if message is not None:
        assert problems[0].key == "resources.workers"
        assert message in problems[0].message
        assert "Lower resources.workers to at most" in problems[0].remedy


def test_this_machine_is_checked_for_all_workers_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    (problem,) = session.check_local(Resources(workers=2))
    assert "a trial asks for 2 workers of 1 CPUs, and there is room for 1" in problem.message
