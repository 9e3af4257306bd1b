"""The private names of Tune that lrstudy uses are where it looks for them; a test fails when one moves."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.air._internal import usage
from ray.air.execution import PlacementGroupResourceManager, ResourceManager, ResourceRequest
from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError, TaskCancelledError
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial

from lrstudy.compat.tune import KeptRequests, actor_of, expect_worker_losses, keep_requests, no_usage_count

ONE, WHOLE = ResourceRequest([{"CPU": 1}]), ResourceRequest([{"CPU": 2}])


class Manager:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def request_resources(self, resource_request: ResourceRequest) -> None:
        self.asked.append(resource_request)

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None:
        self.asked.append(("back", resource_request))

    def get_resource_futures(self) -> list[str]:
        return ["a future"]

    def has_resources_ready(self, resource_request: ResourceRequest) -> bool:
        return True

    def clear(self) -> None:
        self.asked.append("clear")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_tune_has_the_names_of_a_request_for_room() -> None:
    assert "self._resource_manager" in inspect.getsource(RayActorManager.__init__)
    for name in ("request_resources", "cancel_resource_request"):
        assert list(inspect.signature(getattr(ResourceManager, name)).parameters)[1] == "resource_request"
    assert not inspect.signature(ResourceManager.clear).parameters.keys() - {"self"}
    # An actor's request comes before what Tune waits for, at each of its steps.
    assert "get_resource_futures()" in inspect.getsource(RayActorManager.next)


def test_the_next_equal_request_gets_the_group_that_was_taken_back() -> None:
    manager, clock = Manager(), Clock()
    kept = KeptRequests(manager, clock)
    for _ in range(5):
        kept.request_resources(resource_request=ResourceRequest([{"CPU": 1}]))
        kept.cancel_resource_request(resource_request=ResourceRequest([{"CPU": 1}]))
        assert kept.get_resource_futures() == ["a future"]
        clock.now += 0.9
    assert manager.asked == [ONE]
    kept.request_resources(WHOLE)
    assert manager.asked == [ONE, WHOLE], "another amount is another group"
    assert kept.has_resources_ready(ONE)


def test_a_group_that_no_one_asks_for_again_is_given_back() -> None:
    manager, clock = Manager(), Clock()
    kept = KeptRequests(manager, clock)
    for _ in range(3):
        kept.request_resources(ONE)
    kept.cancel_resource_request(ONE)
    clock.now = 0.5
    kept.cancel_resource_request(ONE)
    clock.now = 1.1
    kept.get_resource_futures()
    assert manager.asked == [ONE] * 3 + [("back", ONE)]
    clock.now = 1.6
    kept.get_resource_futures()
    kept.get_resource_futures()
    assert manager.asked == [ONE] * 3 + [("back", ONE)] * 2, "the third is in use"
    kept.cancel_resource_request(ONE)
    kept.clear()
    clock.now = 9.0
    kept.get_resource_futures()
    assert manager.asked[-1] == "clear"


def test_tune_gets_it_and_one_that_looks_different_is_left_alone() -> None:
    actors = RayActorManager(resource_manager=PlacementGroupResourceManager())
    assert keep_requests(SimpleNamespace(_tune_controller=SimpleNamespace(_actor_manager=actors)))
    assert isinstance(actors._resource_manager, KeptRequests)
    assert not keep_requests(SimpleNamespace())
    different = SimpleNamespace(_resource_manager=SimpleNamespace(clear=print))
    assert not keep_requests(SimpleNamespace(_actor_manager=different))
    assert different._resource_manager.clear is print


# -- Lost workers ---------------------------------------------------------------------------------------


def test_tune_has_the_names_of_lost_workers() -> None:
    for name in ("_actor_start_failed", "_actor_task_failed"):
        parameters = list(inspect.signature(getattr(RayActorManager, name)).parameters)
        assert parameters[2] == "exception", name
    assert "_actor_manager" in inspect.getsource(TuneController.__init__)
    assert "_tune_controller" in inspect.getsource(TrialRunnerWrapper.__init__)
    assert "ray_actor" in inspect.getsource(Trial.set_ray_actor)


class Actors:
    def __init__(self) -> None:
        self.told: list[Exception] = []

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        self.told.append(exception)

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        self.told.append(exception)


def test_what_tune_does_not_expect_reaches_it_as_the_loss_of_a_worker() -> None:
    manager = Actors()
    assert expect_worker_losses(SimpleNamespace(_tune_controller=SimpleNamespace(_actor_manager=manager)))
    manager._actor_task_failed(tracked_actor_task=1, exception=OutOfMemoryError("running low on memory"))
    manager._actor_start_failed(1, TaskCancelledError(error_message="cancelled"))
    task, actor = RayTaskError("train", "a traceback", ValueError("x")), RayActorError(error_msg="gone")
    manager._actor_task_failed(1, exception=task)
    manager._actor_task_failed(1, actor)
    first, second, *others = manager.told
    assert isinstance(first, RayActorError)
    assert str(first) == "OutOfMemoryError: running low on memory"
    assert isinstance(second, RayActorError)
    assert others == [task, actor], "what it knows stays as it is"


def test_a_tune_without_those_names_is_left_alone() -> None:
    assert not expect_worker_losses(SimpleNamespace())
    assert not expect_worker_losses(SimpleNamespace(_actor_manager=SimpleNamespace(_actor_task_failed=1)))
    assert actor_of(SimpleNamespace()) is None


# -- What it counts -------------------------------------------------------------------------------------


def test_tune_counts_loggers_by_a_name_that_can_be_replaced() -> None:
    assert "air_usage.tag_callbacks(callbacks)" in inspect.getsource(tune.run)
    usual = usage.tag_callbacks
    with no_usage_count():
        assert usage.tag_callbacks([object()]) is False
    assert usage.tag_callbacks is usual
