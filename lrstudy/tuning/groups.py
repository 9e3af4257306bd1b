"""Which trials share a worker: Tune sees a group of lanes as one trial of its own."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from ray.tune.search import Searcher

from lrstudy.records import Phase
from lrstudy.tuning.controller import Controller
from lrstudy.tuning.faults import Job, Retries, group_config
from lrstudy.tuning.searcher import StudySearcher
from lrstudy.tuning.stopping import StopRequest

# The share of the last group's time after which another one is about to end.
_SOON: Final = 0.75


class LaneSearcher(StudySearcher):
    """Gives Tune groups of up to ``lanes`` trials, as many groups as there are workers.

    No group is made before a worker is free for it: one made earlier would be smaller than it could be.
    What can start then is shared out evenly, so that no worker idles while another has two groups to do.
    What would not fill a group waits for a running one that is about to end: that sets trials free which
    fit into it, and a group costs more by its steps than by its lanes. Range tests, and trials that must be
    alone, stay by themselves and do not wait.
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
        jobs = self._waiting
        while len(jobs) < free * self._lanes and (job := self._next()) is not None:
            if job.config.phase is Phase.RANGE_TEST:
                self._ready.append(job.to_config())
            elif job.alone:
                self._ready.append(group_config([job]))
            else:
                jobs.append(job)
        if len(jobs) < self._lanes and self._one_ends_soon():
            return
        self._waiting = []
        groups = min(free, len(jobs))
        self._ready += [group_config(jobs[first::groups]) for first in range(groups)]

    def _one_ends_soon(self) -> bool:
        """All groups train for the same number of epochs: they take about as long as the last one."""
        now = self._clock()
        return any(_SOON < (now - began) / self._took < 2 - _SOON for began in self._out.values())

    def _next(self) -> Job | None:
        if (again := self._retries.next()) is not None:
            return again
        config = self._controller.next()
        return None if config is None else Job(config)
