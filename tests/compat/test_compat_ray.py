"""The private names of Ray that lrstudy uses are where it looks for them."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError, TaskCancelledError
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial

from lrstudy.compat.ray import actor_of, expect_worker_losses


def test_ray_has_what_is_mirrored() -> None:
    for name in ("_actor_start_failed", "_actor_task_failed"):
        parameters = list(inspect.signature(getattr(RayActorManager, name)).parameters)
        assert parameters[2] == "exception", name
    assert "_actor_manager" in inspect.getsource(TuneController.__init__)
    assert "_tune_controller" in inspect.getsource(TrialRunnerWrapper.__init__)
    assert "ray_actor" in inspect.getsource(Trial.set_ray_actor)


class Manager:
    def __init__(self) -> None:
        self.told: list[Exception] = []

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        self.told.append(exception)

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        self.told.append(exception)


def test_what_tune_does_not_expect_reaches_it_as_the_loss_of_a_worker() -> None:
    manager = Manager()
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


def test_a_tune_that_looks_different_is_left_alone() -> None:
    assert not expect_worker_losses(SimpleNamespace())
    assert not expect_worker_losses(SimpleNamespace(_actor_manager=SimpleNamespace(_actor_task_failed=1)))
    assert actor_of(SimpleNamespace()) is None
