"""The driver's side of a running trial: writes reports to the store, then informs the controller."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayActorError, RayError
from ray.tune import Callback
from ray.tune.experiment import Trial

from lrstudy.compat.tune import actor_of
from lrstudy.errors import StoreError
from lrstudy.records import Phase, Status
from lrstudy.rules.clocks import share_done, time_of
from lrstudy.rules.outcome import Outcome, learned, pruned_after
from lrstudy.safe_text import describe
from lrstudy.spec import Study
from lrstudy.store import StoreWriter
from lrstudy.store.open_attempts import OpenAttempts
from lrstudy.tuning.driver.best_so_far import BestSoFar
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.cost_watch import CostWatch
from lrstudy.tuning.driver.epoch_limit import EpochLimit
from lrstudy.tuning.driver.retries import Retries, loss_text
from lrstudy.tuning.driver.running_trials import RunningTrial, RunningTrials
from lrstudy.tuning.driver.trackers import Tracking
from lrstudy.tuning.driver.trial_writer import TrialWriter
from lrstudy.tuning.fault import Fault, fault_of
from lrstudy.tuning.messages import Attempt, Ended, Rung, Stopped, TrialMessage, WorkerReport

_log = logging.getLogger(__name__)


class Recorder(Callback):
    """A Tune callback that takes every report before Tune stores or prints it."""

    def __init__(
        self,
        study: Study,
        controller: Controller,
        retries: Retries,
        writer: StoreWriter,
        tracking: Tracking,
        limit: EpochLimit,
        on_change: Callable[[], None],
        on_step: Callable[[], object] = lambda: None,
        bests: BestSoFar | None = None,
        costs: CostWatch | None = None,
    ) -> None:
        self._study = study
        self._controller, self._retries = controller, retries
        self._tracking, self._limit, self._on_change = tracking, limit, on_change
        self._on_step, self._bests = on_step, bests or BestSoFar(study.metric)
        self._writer = TrialWriter(writer, self._warn_once)
        self._running = RunningTrials()
        self._costs = costs or CostWatch(study, writer.location)
        self._slots = self._costs.slots
        self._actors: dict[str, Any] = {}
        self._stuck: dict[str, str] = {}
        self._pruned: set[str] = set()
        self._stopped: set[str] = set()
        self._warned: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its arguments to restore them later; lrstudy never restores from there.
        return Callback, ()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that a worker starts a group."""
        self._running.of(trial)
        self._slots.start(trial.trial_id)
        self._actors[trial.trial_id] = actor = actor_of(trial)
        self._limit.start(trial.trial_id, hash(actor))

    def prune(self, trial_ids: set[str]) -> None:
        """Record these trials as pruned at the next report, which Tune is about to deliver."""
        self._pruned |= trial_ids

    def stop(self, group: str) -> None:
        """Take a group back after the next report, which Tune is about to deliver."""
        self._stopped.add(group)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the epochs of a report and write the trials that have ended; removes the report from Tune."""
        running, report = self._running.of(trial), WorkerReport.taken_from(result)
        for each in running.values():
            each.device = report.device or each.device
        self._slots.divide(trial.trial_id, list(running.values()))
        self._limit.note_report(trial.trial_id, epochs=any(message.rows for message in report.messages))
        for message in report.messages:
            if message.trial_id in running:  # else a group was restarted, and this trial had ended
                self._take(trial.trial_id, running[message.trial_id], message)
        self._on_change()  # the trials of a group end together, and late
        if trial.trial_id in self._stopped:
            self._stopped.remove(trial.trial_id)
            for stopped in list(running.values()):
                self._stop(trial.trial_id, stopped)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Forget a group that has ended in Tune."""
        self._forget(trial.trial_id)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count an attempt: the machine was removed with notice, and Tune runs the group again."""
        self._limit.end(trial.trial_id)
        self._slots.divide(trial.trial_id, self._running.group(trial.trial_id))
        self._slots.end(trial.trial_id)
        for running in self._running.of(trial).values():
            running.attempt += 1

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Retry or fail a group whose worker is lost, or raised outside the trials' code."""
        self.lose(trial, _error_of(trial))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """End stuck workers, and write rows that have waited long enough."""
        for group, why in self._limit.stuck().items():
            self._end(group, why)
        self._on_step()
        self._costs.check(self.open_attempts)
        self._writer.flush_if_due()

    def lose(self, trial: Trial, error: BaseException | None) -> None:
        """Retry or fail each trial that ran on a lost worker."""
        self._running.of(trial)
        self._lose(trial.trial_id, error)

    def lose_all(self, error: BaseException) -> None:
        """Queue all attempts of Tune again, after an error of a worker ended Tune itself.

        If one worker ran, an error that Ray raised for it is its fault; one that Tune itself raised costs a
        retry, but is no error of the trial's code. If several ran, the worker at fault is unknown, and all
        attempts start again; the caller limits the number of repetitions.
        """
        running = [group for group in self._running.groups if self._running.group(group)]
        if len(running) == 1:
            own = isinstance(error, RayError | MemoryError)
            cause = error if own else RayActorError(error_msg=f"Tune ended: {describe(error)}")
            self._lose(running[0], cause)
        self._retries.take_back()
        for group in self._running.groups:
            self._forget(group)

    def underway(self) -> dict[Phase, tuple[int, float]]:
        """Return by phase the number of trials that have sent epochs, and their epochs in whole trials."""
        counts: dict[Phase, tuple[int, float]] = {}
        for running in self._running:
            if running.rows:
                phase = Phase(running.job.config.phase)
                trials, worth = counts.get(phase, (0, 0.0))
                length = self._study.length_of(running.job.config.schedule)
                done = share_done(running.rows[-1], self._study.clock, length)
                counts[phase] = trials + 1, worth + done
        return counts

    @property
    def trained(self) -> float:
        """The epochs (or steps) of the trials that have not ended."""
        every = (running.rows[-1] for running in self._running if running.rows)
        return sum(time_of(row, self._study.clock) for row in every)

    def open_attempts(self) -> list[OpenAttempts]:
        """Return what attempts at trials without a row have used until now."""
        return self._slots.open({group: self._running.group(group) for group in self._running.groups})

    @property
    def waiting(self) -> int:
        """The number of ended trials that are not written yet."""
        return self._writer.waiting

    @property
    def error(self) -> StoreError | None:
        """The error that kept rows from being written, or None; after one the driver stops the study."""
        return self._writer.error

    def flush(self) -> None:
        """Write all rows that are waiting; a failure is kept in ``error``."""
        self._writer.flush()

    def _take(self, group: str, running: RunningTrial, message: TrialMessage) -> None:
        for note in message.notes:
            self._warn_once(note)
        running.add(message.rows)
        self._slots.add_energy(running, message.energy_kwh, message.energy_source)
        if running.job.config.phase is not Phase.RANGE_TEST:
            for row in message.rows:
                self._bests.add(running.job.config.schedule, row.value(self._study.metric.column))
        self._tracking.add(running.job.config, message.rows)
        match message.event:
            case Stopped():
                self._stop(group, running)
            case Rung(attempt=attempt):
                running.attempt = max(running.attempt, attempt.number)
                self._judge(group, running, attempt)
            case Ended(attempt=attempt):
                running.attempt = max(running.attempt, attempt.number)
                self._end_attempt(group, running, message.event)

    def _judge(self, group: str, running: RunningTrial, attempt: Attempt) -> None:
        trial_id = running.job.config.trial_id
        if trial_id in self._pruned:
            self._pruned.remove(trial_id)
            self._writer.add_checkpointed(trial_id)  # its worker has not reported them
            self._finish(group, running, pruned_after(self._study, running.rows), attempt)

    def _end_attempt(self, group: str, running: RunningTrial, ended: Ended) -> None:
        if ended.checkpointed:
            self._writer.add_checkpointed(running.job.config.trial_id)
        if ended.fault is None:
            self._finish(group, running, ended.outcome, ended.attempt)
        else:
            self._fail(group, running, ended.fault, ended.outcome, ended.attempt)

    def _stop(self, group: str, running: RunningTrial) -> None:
        """Take an attempt back: a resume continues the trial from its checkpoint."""
        self._retries.end(running.job)
        self._running.end(group, running)

    def _lose(self, group: str, error: BaseException | None) -> None:
        why = self._stuck.get(group)
        fault = fault_of(error) if why is None else Fault.STUCK
        trials = self._running.group(group)
        self._slots.divide(group, trials)
        for running in trials:
            outcome = Outcome(Status.FAILED, len(running.rows), error=why or loss_text(error))
            self._writer.add_checkpointed(running.job.config.trial_id)  # it may have left one
            self._fail(group, running, fault, outcome, None, shared=len(trials) > 1)
        self._forget(group)

    def _fail(
        self,
        group: str,
        running: RunningTrial,
        fault: Fault,
        outcome: Outcome,
        attempt: Attempt | None,
        *,
        shared: bool = False,
    ) -> None:
        """Retry the trial if its budget for such a fault allows; else record it as failed."""
        job = replace(running.job, attempt=running.attempt)
        error = outcome.error or ""
        if self._retries.again(job, fault, error, shared=shared):
            self._running.end(group, running)
            return
        outcome = replace(outcome, error=self._retries.failure_text(job, fault, error))
        self._finish(group, running, outcome, attempt)

    def _finish(self, group: str, running: RunningTrial, outcome: Outcome, attempt: Attempt | None) -> None:
        self._running.end(group, running)
        self._retries.end(running.job)
        record = running.record(self._study, outcome, attempt, self._slots.take(running))
        self._writer.add(record, running.rows)
        self._costs.add(record)
        self._tracking.end(running.job.config, failed=record.status is Status.FAILED)
        self.on_step_end(0, [])
        self._controller.complete(record, learned([row.train_loss for row in running.rows]))
        self._on_change()

    def _end(self, group: str, why: str) -> None:
        """Kill a stuck worker; Tune then reports that the group's worker is lost."""
        actor = self._actors.get(group)
        if actor is None:
            self._warn_once(f"a worker is stuck and cannot be ended here ({why}); Ctrl-C stops the study")
            return
        self._stuck[group] = why
        ray.kill(actor)

    def _forget(self, group: str) -> None:
        self._limit.end(group)
        self._slots.divide(group, self._running.group(group) if group in self._running.groups else ())
        self._slots.end(group)
        self._running.end_group(group)
        self._actors.pop(group, None)
        self._stuck.pop(group, None)

    def _warn_once(self, note: str) -> None:
        if note not in self._warned:
            self._warned.add(note)
            _log.warning(note)


def _error_of(trial: Trial) -> BaseException | None:
    """Return a trial's error from Tune's local file, if it exists: remote storage may not have it yet."""
    kept = trial.pickled_error_file
    if kept is None or not Path(kept).exists():
        error: BaseException | None = trial.get_pickled_error()
        return error
    loaded: BaseException = cloudpickle.loads(Path(kept).read_bytes())
    return loaded
