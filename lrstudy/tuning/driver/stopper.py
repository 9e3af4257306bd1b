"""The rule by which Tune ends trials and the whole run."""

from __future__ import annotations

from typing import Any

from ray.tune import Stopper
from ray.tune.stopper import NoopStopper

from lrstudy.tuning.driver.asha import AtRung, Pruner
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.job import jobs_of
from lrstudy.tuning.messages import Rung, WorkerReport
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.pruned_lanes import PrunedLanes


class StudyStopper(Stopper):
    """Ends trials that are pruned, and the whole run once the recorder can no longer write.

    Once a stop is requested, also ends trials whose worker cannot see the request. Tune calls a stopper
    before its callbacks: the stopper passes its decision to the recorder, which gets the same report next.
    """

    def __init__(
        self, recorder: Recorder, pruner: Pruner, stop: StopRequest, pruned_lanes: PrunedLanes | None
    ) -> None:
        self._recorder, self._pruner, self._stop, self._pruned_lanes = recorder, pruner, stop, pruned_lanes
        self._pruned: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its arguments to restore them later; lrstudy never restores from there.
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return True if Tune must end this group; in a group of several, publish the pruned lanes."""
        report = WorkerReport.of(result)
        jobs = {job.config.trial_id: job.config for job in jobs_of(result["config"])}
        if not report.sees_stop and (
            self._stop.requested or {job.schedule for job in jobs.values()} <= {*self._stop.schedules}
        ):
            self._recorder.stop(trial_id)
            return True
        tunings = {name: (config.schedule, config.replicate) for name, config in jobs.items()}
        pruned = self._pruner.stopped(
            [
                AtRung(tunings[message.trial_id], message.trial_id, rung.epoch, rung.objective)
                for message in report.messages
                if isinstance(rung := message.event, Rung)
            ]
        )
        if not pruned:
            return False
        self._recorder.prune(pruned)
        if len(jobs) == 1:
            return True
        if self._pruned_lanes is not None:
            self._pruned |= pruned
            self._pruned_lanes.add(self._pruned)
        return False

    def stop_all(self) -> bool:
        """Return True if Tune must end the run."""
        return self._recorder.error is not None
