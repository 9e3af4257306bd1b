"""The rule by which Tune ends trials and the whole run."""

from __future__ import annotations

from typing import Any

from ray.tune import Stopper
from ray.tune.stopper import NoopStopper

from lrstudy.tuning.driver.asha import Arrival, Pruner
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.retries import Job, jobs_of
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.pruned_lanes import Board


class StudyStopper(Stopper):
    """Ends trials that the pruner gives up, and the whole run once the recorder can no longer write.

    Once a stop is asked for, also trials whose worker cannot see that.
    """

    def __init__(self, recorder: Recorder, pruner: Pruner, stop: StopRequest, board: Board | None) -> None:
        self._recorder, self._pruner, self._stop, self._board = recorder, pruner, stop, board
        self._given_up: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles what it is given, to restore it; nothing is ever restored from there.
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return True if Tune is to end this trial; marks the lanes of a group that are given up."""
        # Tune asks before it tells the recorder, which reads here what was decided.
        if not result.pop("heeds_stop", True) and self._stop.asked and "outcome" not in result:
            result["stopped"] = True
            return True
        jobs, messages = jobs_of(result["config"]), result.get("messages", [(0, result)])
        arrivals = [
            _arrival(jobs[number], message.pop("rung")) for number, message in messages if "rung" in message
        ]
        given_up = self._pruner.stopped(arrivals)
        for number, message in messages:
            message["pruned"] = jobs[number].config.trial_id in given_up
        if "messages" not in result:
            return bool(given_up)
        if given_up and self._board is not None:
            self._given_up |= given_up
            self._board.give_up(self._given_up)
        return False

    def stop_all(self) -> bool:
        """Return True if Tune is to end the run."""
        return self._recorder.stopping


def _arrival(job: Job, rung: dict[str, Any]) -> Arrival:
    return Arrival(job.config.schedule, job.config.trial_id, rung["epoch"], rung["objective"])
