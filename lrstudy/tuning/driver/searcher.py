"""The controller as a Tune searcher: groups of trials for the workers."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from ray.tune.search import Searcher

from lrstudy.records import Phase
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.job import Job, group_config
from lrstudy.tuning.stop_request import StopRequest

# The share of the last group's time after which another group is about to end.
_SOON: Final = 0.75
# In a group of this many lanes the calls of a step take about as long as its arithmetic.
_SMALL: Final = 8


class StudySearcher(Searcher):
    """Suggests groups of trials of any schedule and phase to Tune, for which a group is one trial.

    Without lanes (0) each trial is a group, suggested when Tune requests it: one is always ready when a
    worker becomes free. With ``own_groups`` a trial reserves its resources itself, for several processes, and
    Tune knows of none: then ``workers`` is the number of trials that all machines hold at once.

    With lanes a group has at most that many trials, and none is made before a worker is free: a group made
    earlier could be smaller. The trials that can start are distributed evenly between the free workers and
    those that will be free before a new group is half done, so that no worker idles while another has two
    groups to train. A small group waits for a running one that is about to end: more trials can then start
    and join it, and in a small group the calls of a step dominate its cost. Range tests, and trials that must
    run alone, are groups of one and do not wait.

    So the clock decides which trials are neighbours. They change no bit of each other's results: if they
    could, ``choose_lanes`` gives no lanes, or warns a study that sets them.

    Trials in lanes share their rows: those of different replicates, which split the data differently, are in
    different groups.

    Once all planned trials have ended, ``more`` may plan others (``until = "decided"``).

    Results do not pass through the searcher: the recorder writes them to the store first and then informs the
    controller, so that every trial that counts as done is on disk.
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
        own_groups: bool = False,
        more: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._controller, self._retries, self._stop = controller, retries, stop
        self._max_concurrent = max_concurrent
        self._lanes, self._workers, self._clock = lanes, workers, clock
        self._own_groups, self._more = own_groups, more
        self._waiting: list[Job] = []
        self._ready: deque[dict[str, Any]] = deque()
        self._out: dict[str, float] = {}  # the time at which each group was suggested
        self._took = math.inf  # the seconds of the last group that ended

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its arguments to restore them later; lrstudy never restores from there.
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the config of the next group, None if there is none yet, ``FINISHED`` after the last."""
        if self._stop.requested or (self._controller.done and not self._more()):
            # Ray's annotation lacks the value that its documentation requires here.
            return cast("dict[str, Any]", Searcher.FINISHED)
        group = self._lane_group() if self._lanes else self._single_trial()
        if group is not None:
            self._out[trial_id] = self._clock()
        return group

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Note that a worker is free."""
        began = self._out.pop(trial_id, None)
        if began is not None:
            self._took = self._clock() - began

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a resume rebuilds the controller from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: see ``save``."""

    def _single_trial(self) -> dict[str, Any] | None:
        full = 0 < self._most() <= self._controller.in_flight
        # A retried trial counts as in flight already.
        job = self._retries.next() if full else self._next()
        return None if job is None else group_config([job], in_lanes=False)

    def _most(self) -> int:
        """Return the most trials at once; 0: as many as Tune has room for."""
        if not self._own_groups:
            return self._max_concurrent
        whole = max(1, self._workers())
        return min(whole, self._max_concurrent) if self._max_concurrent else whole

    def _lane_group(self) -> dict[str, Any] | None:
        workers = max(1, self._workers())
        if self._max_concurrent > 0:
            workers = min(workers, self._max_concurrent)
        free = workers - len(self._out)
        if free <= 0:
            return None
        if not self._ready:
            self._share_out(free)
        return self._ready.popleft() if self._ready else None

    def _share_out(self, free: int) -> None:
        """Form the groups that can start now."""
        jobs, shares = self._waiting, free + self._ending(0.5, 1.5)
        while len(jobs) < shares * self._lanes and (job := self._next()) is not None:
            if job.config.phase is Phase.RANGE_TEST:
                self._ready.append(group_config([job], in_lanes=False))
            elif job.alone or job.solo:
                self._ready.append(group_config([job], in_lanes=True))
            else:
                jobs.append(job)
        if not jobs or (len(jobs) < min(self._lanes, _SMALL) and self._ending(_SOON, 2 - _SOON)):
            return
        shared = shared_out(jobs, shares, self._lanes)
        self._ready += [group_config(group, in_lanes=True) for group in shared[:free]]
        self._waiting = [job for group in shared[free:] for job in group]

    def _ending(self, after: float, before: float) -> int:
        """Return the number of groups that have run for between these shares of the last group's time.

        All take about equally long: they train for the same number of epochs.
        """
        now = self._clock()
        return sum(after < (now - began) / self._took < before for began in self._out.values())

    def _next(self) -> Job | None:
        """Return the retry that has waited longest, else the first attempt at a new trial."""
        if (again := self._retries.next()) is not None:
            return again
        config = self._controller.next()
        return None if config is None else self._retries.hand_out(Job(config))


def shared_out(jobs: Sequence[Job], shares: int, most: int) -> list[list[Job]]:
    """Return groups of at most ``most`` trials of one replicate each, at least ``shares`` where there can be.

    Those of a replicate are of equal size, so that workers end at about the same time. Earlier replicates
    come first.
    """
    replicates: dict[int, list[Job]] = {}
    for job in jobs:
        replicates.setdefault(job.config.replicate, []).append(job)
    parts = {replicate: -(-len(group) // most) for replicate, group in replicates.items()}
    while sum(parts.values()) < min(shares, len(jobs)):
        largest = max(parts, key=lambda replicate: len(replicates[replicate]) / parts[replicate])
        parts[largest] += 1
    return [
        replicates[replicate][first :: parts[replicate]]
        for replicate in sorted(replicates)
        for first in range(parts[replicate])
    ]
