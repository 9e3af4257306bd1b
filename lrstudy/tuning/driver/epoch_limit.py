"""The time limit after which a trial that ends no epoch is stuck, and the driver's clock that measures it.

The driver checks, not the worker: code that hangs in C holds its interpreter's lock, and a stopped process
runs no code. The driver ends the worker through Ray, which works on every node, and Ray starts another one.

No result depends on this clock. It can only fail a trial that would block its worker forever, and it pauses
while the driver does not run: after a laptop slept, or a container or the driver was paused, no trial counts
as stuck.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

# Without a limit in the study file: this many times the slowest epoch so far, but at least _LEAST_SECONDS.
_TIMES: Final = 20
_LEAST_SECONDS: Final = 600.0
# Before the first epoch ends its duration is unknown.
_FIRST_SECONDS: Final = 86_400.0
# A worker sends epochs at most this late, including the driver's time to read them.
_SLACK_SECONDS: Final = 3.0
# The start of a worker's process, its imports, the transfer of the data and the first model are no epoch.
_START_SECONDS: Final = 60.0
# Tune calls the driver ten times a second. In a longer pause the driver was not running.
_STEP_SECONDS: Final = 1.0


@dataclass(slots=True)
class RunningClock:
    """A clock of the seconds in which this process ran; it must be read often."""

    clock: Callable[[], float] = time.monotonic
    seconds: float = 0.0
    _last: float | None = None

    def tick(self) -> float:
        """Read the clock and return ``seconds``."""
        now = self.clock()
        if self._last is not None:
            self.seconds += min(now - self._last, _STEP_SECONDS)
        self._last = now
        return self.seconds


@dataclass(slots=True)
class _Silence:
    """The time since a group's last report."""

    worker: int
    since: float


@dataclass(slots=True)
class EpochLimit:
    """The detection of stuck trials; ``slowest`` is the longest epoch so far."""

    study_limit: float
    slowest: float | None = None
    clock: RunningClock = field(default_factory=RunningClock)
    _running: dict[str, _Silence] = field(default_factory=dict)
    _loaded: set[int] = field(default_factory=set)

    def start(self, trial: str, worker: int) -> None:
        """Note that a worker starts a trial, or a group of trials."""
        self._running[trial] = _Silence(worker, self.clock.tick())

    def note_report(self, trial: str, *, epochs: bool) -> None:
        """Note a report, with ``epochs`` or without (the first is about to begin)."""
        silence = self._running.get(trial)
        if silence is None:
            return
        now = self.clock.tick()
        if epochs:
            self.slowest = max(self.slowest or 0.0, now - silence.since)
        silence.since = now
        self._loaded.add(silence.worker)

    def end(self, trial: str) -> None:
        """Note that a trial no longer runs."""
        self._running.pop(trial, None)

    @property
    def seconds(self) -> float:
        """The current limit."""
        if self.study_limit:
            return self.study_limit
        return _FIRST_SECONDS if self.slowest is None else max(_LEAST_SECONDS, _TIMES * self.slowest)

    def stuck(self) -> dict[str, str]:
        """Return the trials over the limit, each with its error message; they are no longer watched."""
        now, limit = self.clock.tick(), self.seconds
        stuck = {}
        for trial, silence in self._running.items():
            allowed = limit + _SLACK_SECONDS
            if silence.worker not in self._loaded:
                allowed += _START_SECONDS
            if now - silence.since > allowed:
                stuck[trial] = self._message(now - silence.since)
        for trial in stuck:
            del self._running[trial]
        return stuck

    def _message(self, silent: float) -> str:
        why = "faults.epoch_seconds"
        if not self.study_limit:
            seen = "none has ended yet" if self.slowest is None else f"the slowest took {self.slowest:.3g} s"
            why = f"faults.epoch_seconds is not set, and of all epochs so far {seen}"
        return (
            f"no epoch for {silent:.0f} s; the limit is {self.seconds:.4g} s ({why}). "
            "Its process was killed. Fix what hangs, or raise faults.epoch_seconds if epochs take so long."
        )
