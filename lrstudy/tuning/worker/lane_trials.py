"""What runs inside a Ray worker where trials run in lanes: a group of them, each with its own record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ray import tune
from ray.exceptions import RayError

from lrstudy.engine.lanes import LaneGroup
from lrstudy.records import EpochRecord, Phase, Status
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.rungs import rungs
from lrstudy.safe_text import describe
from lrstudy.tuning.fault import Fault, fault_of
from lrstudy.tuning.job import Job, jobs_of
from lrstudy.tuning.messages import Ended, Rung, Stopped, TrialMessage, WorkerReport
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.checkpoints import Saved, TrialCheckpoints
from lrstudy.tuning.worker.loop import (
    MISFITS,
    REPORT_SECONDS,
    Payload,
    about,
    device_name,
    device_of,
    free_memory,
    has_loaded,
    load,
    trainable,
    users_traceback,
)


@dataclass(slots=True)
class _Lane:
    """One attempt at a trial, as ``_Attempt`` is where a trial has a worker to itself."""

    number: int
    job: Job
    checkpoints: TrialCheckpoints
    saved: Saved | None = None
    attempt: int = 1
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    history: list[EpochRecord] = field(default_factory=list)
    sent: int = 0
    event: Rung | Ended | None = None
    end: bool = False

    def resume(self, saved: Saved) -> None:
        """Go on from a checkpoint that fits."""
        self.history, self.sent = list(saved.rows), 0
        self.attempt = max(self.attempt, saved.attempt + 1)
        self.started_at = saved.started_at

    def ended(self, outcome: Outcome, device: str, fault: Fault | None = None) -> None:
        """Note how the trial ended, for the next message."""
        where = about(self.attempt, self.started_at, device)
        self.event = Ended(outcome, where, fault, tuple(self.checkpoints.notes), self.checkpoints.used)
        self.end = True


class _Group:
    """The lanes of one worker, and what has been told of them."""

    def __init__(self, jobs: Sequence[Job], payload: Payload) -> None:
        self._first = not has_loaded(payload)
        self._study, self._data = load(payload)
        self._payload, self._stop = payload, StopRequest(payload.store)
        self._device, self._rungs = device_of(self._study), rungs(self._study)
        self.lanes = [self._lane(number, job) for number, job in enumerate(jobs)]
        self._told: set[int] = set()
        self._sent_at = time.monotonic()
        self._over = False

    def _lane(self, number: int, job: Job) -> _Lane:
        checkpoints = TrialCheckpoints(
            self._payload.store, self._study.spec_hash, job.config, self._study.faults
        )
        return _Lane(number, job, checkpoints, checkpoints.load(), job.attempt)

    def run(self) -> None:
        """Train all lanes to their ends, or to the next epoch when asked to stop.

        What raises may be one lane's doing, or too much for all at once: each that has not ended is then
        tried by itself, and only what raises there has failed.
        """
        if self._stop.asked or self._train(self.lanes, quiet=len(self.lanes) > 1):
            return
        for lane in [lane for lane in self.lanes if not lane.end]:
            free_memory()
            self.lanes[lane.number] = again = self._lane(lane.number, lane.job)
            if not self._stop.asked:
                self._train([again], quiet=False)

    def _train(self, lanes: list[_Lane], *, quiet: bool) -> bool:
        """Whether it went well; if ``quiet``, lanes of a group that did not have no end yet."""
        try:
            self._train_to_end(lanes)
        except RayError:
            raise
        except BaseException as error:
            if self._over:
                raise
            if quiet:
                return False
            fault = fault_of(error)
            if fault is Fault.MEMORY:
                free_memory()
            for lane in lanes:
                outcome = Outcome(Status.FAILED, len(lane.history), error=users_traceback(error))
                lane.ended(outcome, device_name(self._device), fault)
        return True

    def _train_to_end(self, lanes: list[_Lane]) -> None:
        group = self._started(lanes)
        try:
            if self._first:
                self._first = False
                self._report([])  # what takes time from here on is an epoch
            while group.active:
                for i, record in group.run_epoch().items():
                    lanes[i].history.append(record)
                    if group.trainings[i].finished:
                        lanes[i].ended(group.trainings[i].outcome(), device_name(self._device))
                self._climb(lanes, group)
                stopping = self._stop.asked
                for i in group.active:
                    self._keep(lanes[i], group, i, even_now=stopping)
                if stopping:
                    return
                if group.active and time.monotonic() - self._sent_at > REPORT_SECONDS:
                    self.send()
        finally:
            group.close()

    def _climb(self, lanes: list[_Lane], group: LaneGroup) -> None:
        """Where lanes come to a rung, drop those that the driver then gives up."""
        pruned_lanes = self._payload.pruned_lanes
        if pruned_lanes is None:
            return
        judged: dict[str, int] = {}
        for i in group.active:
            training, lane = group.trainings[i], lanes[i]
            if lane.job.config.phase is Phase.TUNE and training.epoch in self._rungs:
                where = about(lane.attempt, lane.started_at, device_name(self._device))
                lane.event = Rung(training.epoch, training.objective, where)
                judged[lane.job.config.trial_id] = i
        if not judged:
            return
        self.send()  # which returns once the driver has decided
        for name in pruned_lanes.among(list(judged)):
            group.drop(judged[name])
            lanes[judged[name]].end = True
            self._told.add(lanes[judged[name]].number)

    def _started(self, lanes: list[_Lane]) -> LaneGroup:
        group = LaneGroup(self._study, self._data, [lane.job.config for lane in lanes], self._device)
        for i, lane in enumerate(lanes):
            if lane.saved is None:
                continue
            try:
                group.load_state_dict(i, lane.saved.state)
            except MISFITS as error:
                lane.checkpoints.notes.append(
                    f"{lane.job.config.trial_id}: its checkpoint does not fit: {describe(error)}"
                )
                lane.saved = None
                group.close()
                return self._started(lanes)  # half a state may have been loaded
        for lane in lanes:
            if lane.saved is not None:
                lane.resume(lane.saved)
                lane.saved = None
        return group

    def _keep(self, lane: _Lane, group: LaneGroup, i: int, *, even_now: bool) -> None:
        if even_now or lane.checkpoints.due(group.trainings[i].epoch):
            lane.checkpoints.save(group.state_dict(i), lane.history, lane.attempt, lane.started_at)

    def send(self, *, last: bool = False) -> None:
        """Tell the driver what is new of every lane; the last message says which were stopped."""
        messages: list[TrialMessage] = []
        for lane in self.lanes:
            if lane.number in self._told:
                continue
            event = Stopped() if last and not lane.end else lane.event
            rows = tuple(lane.history[lane.sent :])
            messages.append(TrialMessage(lane.job.config.trial_id, rows, event))
            lane.sent, lane.event = len(lane.history), None
            if lane.end:
                self._told.add(lane.number)
        self._report(messages)

    def _report(self, messages: list[TrialMessage]) -> None:
        try:
            tune.report(WorkerReport(tuple(messages), self._stop.heard).to_result())
        except BaseException:
            self._over = True  # Tune ends the group in this way: that is no fault of it
            raise
        self._sent_at = time.monotonic()


def lanes_trainable(config: dict[str, Any], payload: Payload) -> None:
    """Run one attempt at every trial of a group; one that is not in lanes has a single trial."""
    if not config["in_lanes"]:
        trainable(config, payload)
        return
    group = _Group(jobs_of(config), payload)
    group.run()
    group.send(last=True)
