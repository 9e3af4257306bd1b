"""Which trials share a worker: Tune sees a group of lanes as one trial of its own."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from ray.tune.search import Searcher

from lrstudy.records import Phase
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.driver.searcher import StudySearcher
from lrstudy.tuning.job import Job, group_config
from lrstudy.tuning.stop_request import StopRequest

# The share of the last group's time after which another one is about to end.
_SOON: Final = 0.75
# The steps of a group of so many lanes cost about as much as their arithmetic.
_SMALL: Final = 8


class LaneSearcher(StudySearcher):
    """Gives Tune groups of up to ``lanes`` trials, as many groups as there are workers.

    No group is made before a worker is free for it: one made earlier would be smaller than it could be.
    What can start then is shared out evenly between the workers that are free and those that will be before
    a new group is half done, so that none idles while another has two groups to do. A small group waits for
    a running one that is about to end: that sets trials free which fit into it, and it costs more by its
    steps than by its lanes. Range tests, and trials that must be apart, stay by themselves and do not wait.
    """

    def __init__(
        self,
        controller: Controller,
        retries: Retries,
        stop: StopRequest,
        max_concurrent: int,
        *,
        lanes: int,
        workers: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(controller, retries, stop, max_concurrent)
        self._lanes, self._workers, self._clock = lanes, workers, clock
        self._waiting: list[Job] = []
        self._ready: deque[dict[str, Any]] = deque()
        self._out: dict[str, float] = {}  # since when
        self._took = math.inf  # seconds, of the last group that ended

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next group's config; None to be asked again later; ``FINISHED`` when there is no more."""
        if self._controller.done or self._stop.asked:
            return cast("dict[str, Any]", Searcher.FINISHED)
        workers = max(1, self._workers())
        if self._max_concurrent > 0:
            workers = min(workers, self._max_concurrent)
        free = workers - len(self._out)
        if free <= 0:
            return None
        if not self._ready:
            self._gather(free)
        if not self._ready:
            return None
        self._out[trial_id] = self._clock()
        return self._ready.popleft()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A worker is free."""
        began = self._out.pop(trial_id, None)
        if began is not None:
            self._took = self._clock() - began

    def _gather(self, free: int) -> None:
        jobs, shares = self._waiting, free + self._ending(0.5, 1.5)
        while len(jobs) < shares * self._lanes and (job := self._next()) is not None:
            if job.config.phase is Phase.RANGE_TEST:
                self._ready.append(job.to_config())
            elif job.alone or job.solo:
                self._ready.append(group_config([job], in_lanes=True))
            else:
                jobs.append(job)
        if not jobs or (len(jobs) < min(self._lanes, _SMALL) and self._ending(_SOON, 2 - _SOON)):
            return
        groups = min(shares, len(jobs))
        shared = [jobs[first::groups] for first in range(groups)]
        self._ready += [group_config(group, in_lanes=True) for group in shared[:free]]
        self._waiting = [job for group in shared[free:] for job in group]

    def _ending(self, after: float, before: float) -> int:
        """How many groups have run for such a part of what the last one took.

        They take about as long as each other, for all train for the same number of epochs.
        """
        now = self._clock()
        return sum(after < (now - began) / self._took < before for began in self._out.values())

    def _next(self) -> Job | None:
        if (again := self._retries.next()) is not None:
            return again
        config = self._controller.next()
        return None if config is None else self._retries.handed(Job(config))
