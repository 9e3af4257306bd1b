"""The file that tells readers of a store which part of the running trials is done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from lrstudy.errors import StoreError
from lrstudy.records import Phase
from lrstudy.store import Location
from lrstudy.store.underway import NOTHING, Underway, write_underway

_log = logging.getLogger(__name__)

# A live page looks this often at a local store. Each write to an object store is a request that is paid for.
_LOCAL_SECONDS: Final = 2.0
_REMOTE_SECONDS: Final = 15.0


class UnderwayFile:
    """Keeps the file current while a driver runs; an error of the store ends it, and not the run."""

    def __init__(self, store: Location, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._every = _REMOTE_SECONDS if store.local is None else _LOCAL_SECONDS
        self._next = clock()
        self._kept: Underway | None = None  # a killed driver may have left a file

    def keep(self, counts: Mapping[Phase, tuple[int, float]]) -> None:
        """Write the trials and their worth by phase, if the last time was long enough ago."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._every
        trials, worth = (sum(each) for each in zip(*counts.values(), strict=True)) if counts else (0, 0.0)
        self._write(Underway(int(trials), float(worth)))

    def remove(self) -> None:
        """Remove the file: the driver ends."""
        self._write(NOTHING)

    def _write(self, underway: Underway) -> None:
        if underway == self._kept:
            return
        try:
            write_underway(self._store, underway)
            self._kept = underway
        except StoreError as error:
            self._next = float("inf")
            _log.info("the trials under way are not shown to readers: %s", error)
