"""The names of Ray beyond its public interface that lrstudy needs.

Mirrors ``ray/tune/experiment/trial.py``, ``ray/tune/execution/tune_controller.py`` and
``ray/air/execution/_internal/actor_manager.py`` of Ray 2.55 to 2.60. Where a name is missing, each function
says so by its result and the caller does without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ray.exceptions import RayActorError, RayTaskError

# What Tune's manager of actors calls when an actor could not start, and when one of its tasks failed.
_HANDLERS: Final = ("_actor_start_failed", "_actor_task_failed")


def actor_of(trial: Any) -> Any:
    """Return the handle of the actor on which a Tune trial runs; None where there is none."""
    return getattr(getattr(trial, "temporary_state", None), "ray_actor", None)


def expect_worker_losses(controller: Any) -> bool:
    """Let a Tune run treat everything that Ray raises about a worker as the loss of that worker.

    Tune knows two exceptions: ``RayActorError`` and ``RayTaskError``. Any other ends the whole run, for one
    ``OutOfMemoryError``, by which Ray's memory monitor kills a worker. ``controller`` is what Tune gives a
    scheduler. Returns False where Tune looks different: such an exception then ends its run as before.
    """
    manager = getattr(getattr(controller, "_tune_controller", controller), "_actor_manager", None)
    handlers = [getattr(manager, name, None) for name in _HANDLERS]
    if not all(callable(handler) for handler in handlers):
        return False
    for name, handler in zip(_HANDLERS, handlers, strict=True):
        setattr(manager, name, _losing(handler))
    return True


def _losing(handler: Any) -> Callable[..., None]:
    def handle(tracked: Any = None, exception: Any = None, **named: Any) -> None:
        if not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=f"{type(exception).__name__}: {exception}")
        first = () if tracked is None else (tracked,)
        handler(*first, exception=exception, **named)

    return handle
