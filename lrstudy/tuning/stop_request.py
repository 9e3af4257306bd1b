"""A request to stop, left as a file in the run's folder: the driver and every worker that sees it obey it.

A worker ends its trial after the running epoch, with a checkpoint; the driver hands out no more trials and
ends when the last one has. The file is the whole protocol, so any shell on any machine can ask.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lrstudy.errors import StoreError
from lrstudy.store import Location

_FILE: Final = "stop"
_ATTEMPTS: Final = 5
# Seconds between two looks for the file: a local look costs microseconds, a remote one a round trip.
_SECONDS: Final = 0.5
_REMOTE_SECONDS: Final = 5.0


def request_stop(store: Location) -> None:
    """Ask the process that runs the study in this folder to stop; raises ``StoreError`` if it cannot."""
    content = repr(time.time()).encode()
    for left in reversed(range(_ATTEMPTS)):
        try:
            (store / _FILE).write(content)
        except StoreError:
            # A second request, or a driver that clears its folder as it starts, may have removed what was
            # half written.
            if not (store / _FILE).exists() and not left:
                raise
        else:
            return


def withdraw_stop(store: Location, *, before: float = math.inf) -> None:
    """Remove the request, if there is one that was made before this time (seconds since 1970)."""
    if (store / _FILE).exists() and _moment((store / _FILE).read()) < before:
        (store / _FILE).delete()


def _moment(content: bytes) -> float:
    try:
        return float(content)
    except ValueError:  # of an earlier release, or by another program
        return -math.inf


@dataclass(slots=True)
class StopRequest:
    """The request to stop a study, as one process sees it. Once made, it stays made."""

    store: Location
    clock: Callable[[], float] = time.monotonic
    _asked: bool = False
    _next: float = 0.0
    _seen: bool | None = field(default=None)

    @property
    def asked(self) -> bool:
        """True if a stop was requested; looks for the file only every so often."""
        if not self._asked and self.clock() >= self._next:
            every = _SECONDS if self.store.local is not None else _REMOTE_SECONDS
            self._next = self.clock() + every
            try:
                self._asked = (self.store / _FILE).exists()
            except StoreError:
                return False  # a store that does not answer now asks for nothing
        return self._asked

    @property
    def heard(self) -> bool:
        """True if a request would be seen here: a worker on another machine may not see the driver's disk."""
        if self._seen is None:
            try:
                self._seen = (self.store / "study.json").exists()
            except StoreError:
                self._seen = False
        return self._seen
