"""Names of Tune beyond its public interface: lost workers, room that it takes back, and what it counts.

Checked with Ray 2.55 to 2.60. Each function names the upstream file that it mirrors and what happens where
the name is missing; ``tests/compat`` fails when the installed Ray no longer has it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ray.exceptions import RayActorError, RayTaskError

from lrstudy.compat.ray import module_or_none, replaced

TuneController = Any
"""Tune passes one to a scheduler; ``ray/tune/execution/tune_controller.py`` is internal and has no types."""

# What Tune's manager of actors calls when an actor could not start, and when one of its tasks failed.
_HANDLERS: Final = ("_actor_start_failed", "_actor_task_failed")
# What that manager asks for the actors' resources.
_ROOM: Final = "_resource_manager"
# What counts the loggers of a run.
_COUNT: Final = "tag_callbacks"
# After them a group is reserved, or waits for room that Ray does not have.
_KEPT_SECONDS: Final = 1.0


def actor_of(trial: Any) -> Any:
    """Return the handle of the actor on which a Tune trial runs; None if it has none.

    ``ray/tune/experiment/trial.py``. Where the name is missing, None: the caller does without.
    """
    return getattr(getattr(trial, "temporary_state", None), "ray_actor", None)


def expect_worker_losses(controller: Any) -> bool:
    """Let a Tune run treat everything that Ray raises about a worker as the loss of that worker.

    Tune knows two exceptions: ``RayActorError`` and ``RayTaskError``. Any other ends the whole run, for
    example ``OutOfMemoryError``, with which Ray's memory monitor kills a worker. ``controller`` is what Tune
    passes to a scheduler. ``ray/tune/execution/tune_controller.py`` and
    ``ray/air/execution/_internal/actor_manager.py``. Return True if Tune has the expected form; otherwise
    such an exception ends its run as before.
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


class KeptRequests:
    """A resource manager of Tune whose requests are taken back a second later, unless they come again.

    Tune asks for a placement group for each trial that waits, and takes one back whenever a worker that has
    become free gets the next trial. A group that is taken back in the milliseconds in which Ray reserves its
    CPUs stays reserved for good (Ray 2.60, ray-project/ray#64693): the run has fewer workers from then on,
    and a request for a whole machine never comes true. Here the next equal request gets the group; it usually
    follows at once. All else is ``manager``'s. ``ray/air/execution/resources/resource_manager.py``.
    """

    def __init__(self, manager: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._manager, self._clock = manager, clock
        self._unused: dict[Any, deque[float]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)

    def request_resources(self, resource_request: Any) -> None:
        """Ask for a group, or use one that was taken back."""
        unused = self._unused.get(resource_request)
        if unused:
            unused.popleft()
        else:
            self._manager.request_resources(resource_request)

    def cancel_resource_request(self, resource_request: Any) -> None:
        """Note that a group is not needed."""
        self._unused.setdefault(resource_request, deque()).append(self._clock())

    def get_resource_futures(self) -> Any:
        """Return what Tune waits for; it does so at each of its steps, so that old groups go then."""
        for request, since in self._unused.items():
            while since and self._clock() - since[0] > _KEPT_SECONDS:
                since.popleft()
                self._manager.cancel_resource_request(request)
        return self._manager.get_resource_futures()

    def clear(self) -> None:
        """Give all groups back."""
        self._unused.clear()
        self._manager.clear()


def keep_requests(controller: Any) -> bool:
    """Let a Tune run keep the requests for room that it takes back, for a moment.

    ``controller`` is what Tune passes to a scheduler. ``ray/tune/execution/tune_controller.py`` and
    ``ray/air/execution/_internal/actor_manager.py``. Return True if Tune has the expected form; otherwise its
    requests are taken back as before.
    """
    actors = getattr(getattr(controller, "_tune_controller", controller), "_actor_manager", None)
    manager = getattr(actors, _ROOM, None)
    expected = [name for name in vars(KeptRequests) if not name.startswith("_")]
    if not all(callable(getattr(manager, name, None)) for name in expected):
        return False
    setattr(actors, _ROOM, KeptRequests(manager))
    return True


@contextmanager
def no_usage_count() -> Iterator[None]:
    """Let a Tune run that starts in the block not count which loggers it has.

    To compare classes it imports MLflow and W&B where they are installed, which takes seconds; the count is
    for a report that is off. ``ray/air/_internal/usage.py``. Where the name is missing, it counts.
    """
    usage = module_or_none("ray.air._internal.usage")
    if not hasattr(usage, _COUNT):
        yield
        return
    with replaced(usage, _COUNT, _counted_none):
        yield


def _counted_none(_callbacks: Any) -> bool:
    return False
