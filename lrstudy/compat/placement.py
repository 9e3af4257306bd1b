"""Requests for room that Tune takes back, kept for a moment.

Tune asks for a placement group for each trial that waits, and takes one back whenever a worker that has
become free gets the next trial. A group that is taken back in the milliseconds in which Ray reserves its CPUs
stays reserved by nobody (Ray 2.60, ray-project/ray#64693): the run has fewer workers from then on, and a
request for a whole machine never comes true. Here the next equal request gets the group; it usually follows
at once.

Checked with Ray 2.60. ``tests/compat`` fails when the installed Ray no longer has the names.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

# By then a group is reserved, or waits for room that Ray does not have.
_SECONDS: Final = 1.0


class KeptRequests:
    """A resource manager of Tune whose requests are taken back a second later, unless they come again.

    All else is ``manager``'s. ``ray/air/execution/resources/resource_manager.py``.
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
            while since and self._clock() - since[0] > _SECONDS:
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
    manager = getattr(actors, "_resource_manager", None)
    expected = [name for name in vars(KeptRequests) if not name.startswith("_")]
    if not all(callable(getattr(manager, name, None)) for name in expected):
        return False
    setattr(actors, "_resource_manager", KeptRequests(manager))  # noqa: B010 - of a private name
    return True
