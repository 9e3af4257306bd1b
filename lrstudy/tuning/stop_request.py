"""A request to stop, which is a file in the run's folder: the driver and every worker that sees it stop.

A worker ends its trial after the next evaluation, with a checkpoint; the driver starts no more trials, ends
after the last one. A trial that cannot be saved trains to its end, unless the request is made twice. The file
is the whole protocol, so that any shell on any machine can make the request.

A request to stop one schedule is a file in a folder beside it. The driver keeps it in ``study.json``, and
removes the folder when the study ends. Trials of it that share a worker with others end there only if the
worker can see the folder.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from lrstudy.errors import StoreError
from lrstudy.store import Location

_FILE: Final = "stop"
_FOLDER: Final = "stop-schedules"
_URGENT: Final = b" now"
_ATTEMPTS: Final = 5
# Seconds between two checks for the file: a local check takes microseconds, a remote one a round trip.
_SECONDS: Final = 0.5
_REMOTE_SECONDS: Final = 5.0


def request_stop(store: Location) -> bool:
    """Request the study in this folder to stop. Return True if that was requested before.

    After a second request, trials that cannot be saved lose their work. Raises ``StoreError`` if the file
    cannot be written.
    """
    again = (store / _FILE).exists()
    content = repr(time.time()).encode() + (_URGENT if again else b"")
    for left in reversed(range(_ATTEMPTS)):
        try:
            (store / _FILE).write(content)
        except StoreError:
            # A second request, or a driver that clears its folder at its start, may have removed the partly
            # written file.
            if not (store / _FILE).exists() and not left:
                raise
        else:
            break
    return again


def withdraw_stop(store: Location, *, before: float = math.inf) -> None:
    """Remove the request if one was made before this time (seconds since 1970)."""
    if (store / _FILE).exists() and _moment((store / _FILE).read()) < before:
        (store / _FILE).delete()


def request_schedule_stop(store: Location, names: Iterable[str]) -> None:
    """Request that these schedules of the study in this folder stop."""
    folder = store / _FOLDER
    folder.create_folder()
    for name in names:
        (folder / hashlib.sha256(name.encode()).hexdigest()[:16]).write(name.encode())


def withdraw_schedule_stops(store: Location) -> None:
    """Remove the requests to stop schedules."""
    (store / _FOLDER).delete_folder()


def _moment(content: bytes) -> float:
    try:
        return float(content.removesuffix(_URGENT))
    except ValueError:  # written by an earlier release or another program
        return -math.inf


@dataclass(slots=True)
class StopRequest:
    """The request to stop a study, as seen by one process; once seen, it stays."""

    store: Location
    clock: Callable[[], float] = time.monotonic
    _requested: bool = False
    _next: float = 0.0
    _visible: bool | None = field(default=None)
    _next_list: float = 0.0
    _schedules: dict[str, str] = field(default_factory=dict)

    @property
    def requested(self) -> bool:
        """Return True if a stop was requested; looks for the file at most once per interval."""
        if not self._requested and self.clock() >= self._next:
            self._next = self.clock() + self._every
            try:
                self._requested = (self.store / _FILE).exists()
            except StoreError:
                return False  # an error of the store is not a request
        return self._requested

    @property
    def schedules(self) -> Collection[str]:
        """The schedules that were requested to stop; looks for requests at most once per interval."""
        if self.clock() >= self._next_list:
            self._next_list = self.clock() + self._every
            folder = self.store / _FOLDER
            with suppress(StoreError):  # an error of the store is not a request
                for file in folder.names():
                    if file not in self._schedules and not file.startswith("."):
                        self._schedules[file] = (folder / file).read().decode()
        return self._schedules.values()

    @property
    def _every(self) -> float:
        return _SECONDS if self.store.local is not None else _REMOTE_SECONDS

    @property
    def urgent(self) -> bool:
        """Return True if a stop was requested twice; reads the file."""
        try:
            return self.requested and (self.store / _FILE).read().endswith(_URGENT)
        except StoreError:
            return False

    @property
    def visible(self) -> bool:
        """Return True if this process can see a request; a worker elsewhere may not see the driver's disk."""
        if self._visible is None:
            try:
                self._visible = (self.store / "study.json").exists()
            except StoreError:
                self._visible = False
        return self._visible
