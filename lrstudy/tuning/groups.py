"""Which trials share a worker: Tune sees a group of lanes as one trial of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

from ray.tune.search import Searcher

from lrstudy.records import Phase
from lrstudy.tuning.controller import Controller
from lrstudy.tuning.faults import Job, Retries, group_config
from lrstudy.tuning.searcher import StudySearcher
from lrstudy.tuning.stopping import StopRequest


class LaneSearcher(StudySearcher):
    """Gives Tune groups of up to ``lanes`` trials, as many groups as there are workers.

    No group is made before a worker is free for it: one made earlier would be smaller than it could be.
    What can start then is shared out evenly, so that no worker idles while another has two groups to do.
    Range tests, and trials that must be alone, stay by themselves.
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
    ) -> None:
        super().__init__(controller, retries, stop, max_concurrent)
        self._lanes, self._workers = lanes, workers
        self._ready: deque[dict[str, Any]] = deque()
        self._out: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next group's config; None to be asked again later; ``FINISHED`` when there is no more."""
        if self._controller.done or self._stop.asked:
            return cast("dict[str, Any]", Searcher.FINISHED)
        workers = max(1, self._workers())
        if self._max_concurrent > 0:
            workers = min(workers, self._max_concurrent)
        if len(self._out) >= workers:
            return None
        if not self._ready:
            self._gather(workers)
        if not self._ready:
            return None
        self._out.add(trial_id)
        return self._ready.popleft()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A worker is free."""
        self._out.discard(trial_id)

    def _gather(self, workers: int) -> None:
        jobs: list[Job] = []
        while len(jobs) < workers * self._lanes and (job := self._next()) is not None:
            if job.config.phase is Phase.RANGE_TEST:
                self._ready.append(job.to_config())
            elif job.alone:
                self._ready.append(group_config([job]))
            else:
                jobs.append(job)
        groups = min(workers, len(jobs))
        self._ready += [group_config(jobs[first::groups]) for first in range(groups)]

    def _next(self) -> Job | None:
        if (again := self._retries.next()) is not None:
            return again
        config = self._controller.next()
        return None if config is None else Job(config)
