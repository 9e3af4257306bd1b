"""The time after which a trial that ends no epoch is stuck, and the driver's clock that measures it.

The driver looks, not the worker: code that hangs in C holds its interpreter's lock, and a stopped process
runs nothing at all. It ends the worker through Ray, which works on every node, and Ray starts another one.

No result depends on this clock. It can only fail a trial that would hold its worker for ever, and it stands
still while the driver itself does not run: a laptop that slept, a container that was paused or a driver that
was stopped has no stuck trial when it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

# Without a limit in the study file: this many times the slowest epoch so far, but never less than so long.
_TIMES: Final = 20
_LEAST_SECONDS: Final = 600.0
# Before any epoch has been seen nothing says how long one takes.
_FIRST_SECONDS: Final = 86_400.0
# A worker sends epochs at most this late, and the driver takes its time to read them.
_SLACK_SECONDS: Final = 3.0
# The start of a worker's process, its imports, the way of the data and the first model belong to no epoch.
_START_SECONDS: Final = 60.0
# Tune asks ten times a second. What lies longer between two times, the driver was not running.
_STEP_SECONDS: Final = 1.0


@dataclass(slots=True)
class RunningClock:
    """Seconds in which this process ran, as far as those show who look at it all the time."""

    clock: Callable[[], float] = time.monotonic
    seconds: float = 0.0
    _last: float | None = None

    def tick(self) -> float:
        """Look at the time again; returns ``seconds``."""
        now = self.clock()
        if self._last is not None:
            self.seconds += min(now - self._last, _STEP_SECONDS)
        self._last = now
        return self.seconds


@dataclass(slots=True)
class _Silence:
    worker: int
    since: float


@dataclass(slots=True)
class EpochLimit:
    """The watch over stuck trials: ``given`` is the study's own limit, ``slowest`` the longest epoch seen."""

    given: float
    slowest: float | None = None
    clock: RunningClock = field(default_factory=RunningClock)
    _running: dict[str, _Silence] = field(default_factory=dict)
    _loaded: set[int] = field(default_factory=set)

    def start(self, trial: str, worker: int) -> None:
        """A worker begins with a trial, or with a group of them."""
        self._running[trial] = _Silence(worker, self.clock.tick())

    def heard(self, trial: str, *, epochs: bool) -> None:
        """It has sent something: at least one epoch that has ended, or that the first is about to begin."""
        silence = self._running.get(trial)
        if silence is None:
            return
        now = self.clock.tick()
        if epochs:
            self.slowest = max(self.slowest or 0.0, now - silence.since)
        silence.since = now
        self._loaded.add(silence.worker)

    def end(self, trial: str) -> None:
        """It runs no longer."""
        self._running.pop(trial, None)

    @property
    def seconds(self) -> float:
        """The limit as it is now."""
        if self.given:
            return self.given
        return _FIRST_SECONDS if self.slowest is None else max(_LEAST_SECONDS, _TIMES * self.slowest)

    def stuck(self) -> dict[str, str]:
        """Those over the limit, each with what is to be said of it; forgets them."""
        now, limit = self.clock.tick(), self.seconds
        found = {}
        for trial, silence in self._running.items():
            allowed = limit + _SLACK_SECONDS
            if silence.worker not in self._loaded:
                allowed += _START_SECONDS
            if now - silence.since > allowed:
                found[trial] = self._told(now - silence.since)
        for trial in found:
            del self._running[trial]
        return found

    def _told(self, silent: float) -> str:
        why = "faults.epoch_seconds"
        if not self.given:
            seen = "none has ended yet" if self.slowest is None else f"the slowest took {self.slowest:.3g} s"
            why = f"faults.epoch_seconds is not set, and of all epochs so far {seen}"
        return (
            f"no epoch for {silent:.0f} s; the limit is {self.seconds:.4g} s ({why}). "
            "Its process was killed. Mend what hangs; where epochs take so long, raise faults.epoch_seconds."
        )
