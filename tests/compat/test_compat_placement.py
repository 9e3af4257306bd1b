"""Requests that Tune takes back are kept for a moment; these tests fail when one of the names moves."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

from ray.air.execution import PlacementGroupResourceManager, ResourceManager, ResourceRequest
from ray.air.execution._internal import RayActorManager

from lrstudy.compat.placement import KeptRequests, keep_requests

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


def test_ray_has_what_is_mirrored() -> None:
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
