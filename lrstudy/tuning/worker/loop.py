"""The worker's loop: trains a group of trials and reports to the driver."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from ray import tune
from ray.exceptions import RayError

from lrstudy.engine.group import MISFITS, LeftoverError, TrialGroup
from lrstudy.engine.start_group import start_group
from lrstudy.records import Phase
from lrstudy.rules.rungs import rung_reached, rungs
from lrstudy.safe_text import describe, safe_text
from lrstudy.spec import Study
from lrstudy.tuning.fault import Fault, fault_of
from lrstudy.tuning.job import Job, in_lanes, jobs_of
from lrstudy.tuning.messages import TrialMessage, WorkerReport
from lrstudy.tuning.resource_request import needs
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.attempt import TrialAttempt
from lrstudy.tuning.worker.energy import EnergyMeter
from lrstudy.tuning.worker.process import (
    Payload,
    device_name,
    device_of,
    end_process,
    free_memory,
    has_loaded,
    load,
    users_traceback,
)

# A report takes milliseconds, in which the worker waits: short epochs are sent together. After a slow report,
# of a busy driver, the next one waits so many times as long, at most these seconds.
REPORT_SECONDS = 0.5
_REPORT_REST = 25
_REPORT_AT_MOST = 2.0


def trainable(config: dict[str, Any], payload: Payload) -> None:
    """Run one attempt at every trial of a group; the last report ends or stops those that have not ended.

    An exception in a trial's code is an outcome too (``failed``, with its traceback and the kind of fault).
    An exception that propagates from this function is a fault of the machine. Where a user's function did not
    end with its trial, the process ends after the last report: it is this trial's still, and no other's.
    """
    loop = GroupLoop(jobs_of(config), payload, in_lanes=in_lanes(config))
    loop.run()
    loop.send(last=True)
    if loop.leftover:
        end_process()


class GroupLoop:
    """The attempts at the trials of one group, and the reports on them to the driver.

    ``leftover`` is True if a user's function still runs.
    """

    def __init__(self, jobs: Sequence[Job], payload: Payload, *, in_lanes: bool) -> None:
        self._payload, self._in_lanes = payload, in_lanes
        self._stop = StopRequest(payload.store)
        self._attempts = [TrialAttempt(job, job.attempt) for job in jobs]
        self._first = not has_loaded(payload)
        self._sent_at, self._took = time.monotonic(), 0.0
        self._ended_by_tune = False
        self._energy: EnergyMeter | None = None
        self.leftover = False

    def run(self) -> None:
        """Train all trials until they end, or until the next pause once a stop is requested.

        If the group raises, rerun each unfinished trial alone; only trials that raise again are marked
        failed. One trial may be at fault, or all at once may be too much.
        """
        for attempt in self._attempts:
            if attempt.job.config.schedule in self._stop.schedules:
                attempt.stop()
        left = [attempt for attempt in self._attempts if not attempt.ended]
        if self._stop.requested or not left or self._train(left):
            return
        for i, attempt in enumerate(self._attempts):
            if attempt.ended:
                continue
            free_memory()
            self._attempts[i] = again = TrialAttempt(attempt.job, attempt.job.attempt)
            if not self._stop.requested:
                self._train([again])

    def send(self, *, last: bool = False) -> None:
        """Send a message for every trial; ``last`` stops those that have not ended."""
        self._report([attempt.message(last=last) for attempt in self._attempts if not attempt.silent])

    def _train(self, attempts: list[TrialAttempt]) -> bool:
        """Train until each has ended or a stop is requested; return True if no group of several raised."""
        try:
            self._train_to_end(attempts)
        except RayError:
            raise
        except BaseException as error:
            self.leftover |= isinstance(error, LeftoverError)
            if self._ended_by_tune:
                if self.leftover:
                    end_process()
                raise
            if len(attempts) > 1:
                return False
            fault, text = fault_of(error), users_traceback(error)
        else:
            return True
        # Outside of ``except`` the exception is released, with the frames that held the trial's memory.
        if fault is Fault.MEMORY:
            free_memory()
        attempts[0].fail(fault, text)
        return True

    def _train_to_end(self, attempts: list[TrialAttempt]) -> None:
        study, group = self._start(attempts)
        try:
            if self._first:
                self._first = False
                self._report(())  # the driver times the first epoch from here
            for pause in group.run():
                for i, row in pause.rows.items():
                    attempts[i].add(row)
                    if i in group.active and attempts[i].ends_early():
                        group.finish(i)
                for i in group.active:
                    attempts[i].note(*group.notes(i))
                self._end_finished(group, attempts)
                self._end_stopped(group, attempts)
                self._prune(study, group, attempts, pause.rows)
                if self._save(group, attempts):
                    return
                if group.active and time.monotonic() - self._sent_at > self._report_pause:
                    self.send()
            self._end_finished(group, attempts)
        finally:
            self._read_energy([attempt for attempt in attempts if not attempt.ended], last=True)
            for i, attempt in enumerate(attempts):
                if not attempt.ended:
                    attempt.note(*group.notes(i))
            group.close()

    def _start(self, attempts: list[TrialAttempt]) -> tuple[Study, TrialGroup]:
        """Return the study and a group of these trials, each with its checkpoint loaded if that fits."""
        (replicate,) = {attempt.job.config.replicate for attempt in attempts}
        study, data = load(self._payload, replicate)
        device = device_of(study)
        if study.cost.energy and study.resources.workers == 1:
            self._energy = EnergyMeter.start(study.resources)
        for attempt in attempts:
            attempt.device = device_name(device)
            attempt.open(study, self._payload.store)
        configs = [attempt.job.config for attempt in attempts]
        while True:
            if study.resources.workers > 1:
                group: TrialGroup = self._start_workers(study, attempts[0])
            else:
                group = start_group(study, data, configs, device, in_lanes=self._in_lanes)
            if self._load(group, attempts):
                break
            group.close()  # a part of the checkpoint may have been loaded
        for attempt in attempts:
            attempt.resume()
        return study, group

    def _start_workers(self, study: Study, attempt: TrialAttempt) -> TrialGroup:
        from lrstudy.tuning.worker.workers_group import WorkersGroup

        def on_device(name: str) -> None:
            attempt.device = f"{study.resources.workers} × {name}"

        return WorkersGroup(self._payload, study, attempt.job.config, needs(study.resources), on_device)

    def _load(self, group: TrialGroup, attempts: list[TrialAttempt]) -> bool:
        """Load the checkpoints; return True if all fit. The first that does not is discarded."""
        for i, attempt in enumerate(attempts):
            if attempt.saved is None:
                continue
            try:
                group.load(i, attempt.saved.state)
            except MISFITS as error:
                attempt.note(f"{attempt.trial_id}: its checkpoint does not fit: {describe(error)}")
                attempt.saved = None
                return False
        return True

    def _end_finished(self, group: TrialGroup, attempts: list[TrialAttempt]) -> None:
        active = set(group.active)
        if any(i not in active and not attempt.ended for i, attempt in enumerate(attempts)):
            self._read_energy([attempt for attempt in attempts if not attempt.ended])
        for i, attempt in enumerate(attempts):
            if i not in active and not attempt.ended:
                outcome = group.outcome(i)
                attempt.note(*group.notes(i))
                attempt.end(outcome)

    def _read_energy(self, trained: Sequence[TrialAttempt], *, last: bool = False) -> None:
        """Divide the energy since the last reading evenly between the trials that have trained since."""
        meter = self._energy
        if meter is None:
            return
        kwh = meter.read(last=last)
        if kwh is not None:
            for attempt in trained:
                attempt.add_energy(kwh / len(trained), meter.source)
        if last:
            self._energy = None

    def _end_stopped(self, group: TrialGroup, attempts: list[TrialAttempt]) -> None:
        """Save and drop the trials whose schedule was stopped; what cannot be saved is lost."""
        stopped = self._stop.schedules
        for i in group.active if stopped else ():
            if attempts[i].job.config.schedule in stopped:
                state = group.state(i)
                if state is not None:
                    attempts[i].save(state)
                group.drop(i)
                attempts[i].stop()

    def _prune(
        self, study: Study, group: TrialGroup, attempts: list[TrialAttempt], evaluated: Iterable[int]
    ) -> None:
        """Report the trials that are at a rung, and drop those that the driver then prunes.

        A group of one is ended by Tune, with an exception in the report.
        """
        stops, active = rungs(study), set(group.active)
        at_rung: dict[str, int] = {}
        if not stops:
            return
        for i in evaluated:
            attempt = attempts[i]
            tuning = attempt.job.config.phase is Phase.TUNE
            now, before = attempt.history[-1], attempt.history[-2] if len(attempt.history) > 1 else None
            rung = rung_reached(study, stops, now, before) if tuning and i in active else None
            if rung is not None:
                attempt.at_rung(study, rung)
                at_rung[attempt.trial_id] = i
        if not at_rung:
            return
        self.send()  # returns once the driver has decided
        if self._payload.pruned_lanes is None:
            return
        for trial_id in self._payload.pruned_lanes.among(list(at_rung)):
            group.drop(at_rung[trial_id])
            attempts[at_rung[trial_id]].pruned()

    def _save(self, group: TrialGroup, attempts: list[TrialAttempt]) -> bool:
        """Write the checkpoints that are due; return True if the group stops here.

        All its trials are saved then, unless a stop was requested twice.
        """
        stopping = stopped = self._stop.requested
        for i in group.active:
            if not (stopping or attempts[i].checkpoint_due()):
                continue
            state = group.state(i)
            if state is None:
                # Without a checkpoint the trial would have to start again.
                stopped = stopped and self._stop.urgent
            else:
                attempts[i].save(state)
        return stopped

    @property
    def _device(self) -> str:
        """The device of the group; empty before it is known."""
        return safe_text(next((attempt.device for attempt in self._attempts if attempt.device), ""))

    @property
    def _report_pause(self) -> float:
        """The seconds from one report to the next that is not due to an event."""
        return min(_REPORT_AT_MOST, max(REPORT_SECONDS, _REPORT_REST * self._took))

    def _report(self, messages: Sequence[TrialMessage]) -> None:
        began = time.monotonic()
        try:
            tune.report(WorkerReport(tuple(messages), self._stop.visible, self._device).to_result())
        except BaseException:
            self._ended_by_tune = True  # not an error of the group
            raise
        self._sent_at = time.monotonic()
        self._took = self._sent_at - began
