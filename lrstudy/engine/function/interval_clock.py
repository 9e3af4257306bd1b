"""The time of training and of evaluating since the last evaluation of a trial."""

from __future__ import annotations

import time
from collections.abc import Callable


class IntervalClock:
    """Adds up the seconds of two kinds; stopped while the trial waits for its driver."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.evaluating = False
        self._train = self._eval = 0.0
        self._since = clock()

    def switch(self, *, evaluating: bool) -> None:
        """Count from now on as evaluating, or as training."""
        self._split()
        self.evaluating = evaluating

    def seconds(self) -> tuple[float, float]:
        """Return the seconds of training and of evaluating since the last ``reset``."""
        self._split()
        return self._train, self._eval

    def reset(self, train: float = 0.0, evaluate: float = 0.0) -> None:
        """Begin an interval, which has these seconds already."""
        self._train, self._eval = train, evaluate
        self._since = self._clock()

    def skip(self) -> None:
        """Leave out the time since the last reading: the trial waited."""
        self._since = self._clock()

    def _split(self) -> None:
        now = self._clock()
        if self.evaluating:
            self._eval += now - self._since
        else:
            self._train += now - self._since
        self._since = now


class Every:
    """A question that is answered with True about every ``seconds``; no result may depend on it."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds, self._clock = seconds, clock
        self._since = clock()

    def over(self) -> bool:
        """Return True if the seconds have passed since the last ``restart``."""
        return self._clock() - self._since >= self._seconds

    def restart(self) -> None:
        """Begin to count again."""
        self._since = self._clock()
