"""The driver's side of a running trial: results become rows in the store, then news for the controller.

The store's writer is called from here and from nowhere else, so that a row has one author.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial

from lrstudy.compat.ray import actor_of
from lrstudy.errors import StoreError
from lrstudy.records import EpochRecord, Phase, Status, TrialRecord
from lrstudy.rules.outcome import Outcome, learned, pruned_after
from lrstudy.spec import Study
from lrstudy.store import StoreWriter, TrialKey
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.epoch_limit import EpochLimit
from lrstudy.tuning.driver.retries import Fault, Job, Retries, fault_of, jobs_of, told_by_ray
from lrstudy.tuning.driver.trackers import Tracking
from lrstudy.tuning.worker.checkpoints import remove_checkpoints

# Rows of trials that ended within this time share one write. What a kill loses of it is run again.
FLUSH_SECONDS = 0.5


_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    number: int
    job: Job
    rows: list[EpochRecord] = field(default_factory=list)
    attempt: int = 1
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Recorder(Callback):
    """Takes every result off Tune's hands before Tune stores or prints any of it."""

    def __init__(
        self,
        study: Study,
        controller: Controller,
        retries: Retries,
        writer: StoreWriter,
        tracking: Tracking,
        limit: EpochLimit,
        on_change: Callable[[], None],
    ) -> None:
        self._study = study
        self._controller, self._retries, self._writer = controller, retries, writer
        self._tracking, self._limit, self._on_change = tracking, limit, on_change
        self._actors: dict[str, Any] = {}
        self._stuck: dict[str, str] = {}
        # Of every trial that Tune runs: its own, or those of its lanes that have not ended.
        self._running: dict[str, dict[int, _Running]] = {}
        self._epochs: list[tuple[TrialKey, EpochRecord]] = []
        self._trials: list[TrialRecord] = []
        self._checkpointed: list[str] = []
        self._notes: set[str] = set()
        self._flushed_at = time.monotonic()
        self.error: StoreError | None = None
        self.stopping = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles what it is given, to restore it; nothing is ever restored from there.
        return Callback, ()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker begins with it."""
        self._entries(trial)
        self._actors[trial.trial_id] = actor = actor_of(trial)
        self._limit.start(trial.trial_id, hash(actor))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the epochs; write a trial that is over. Empties ``result`` of what Tune must not keep."""
        running = self._entries(trial)
        messages = result.pop("messages", [(0, result)])
        self._limit.heard(trial.trial_id, epochs=any(message.get("rows") for _, message in messages))
        for number, message in messages:
            if number in running:  # else a group begins again, and this lane had ended
                self._take(trial.trial_id, running[number], message)
        self._on_change()  # the trials of a group end together, and late
        if result.pop("stopped", False):
            for stopped in list(running.values()):
                self._retries.over(stopped.job)
            running.clear()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune is done with it."""
        self._left(trial.trial_id)

    def _left(self, trial_id: str) -> None:
        self._limit.end(trial_id)
        for known in (self._running, self._actors, self._stuck):
            known.pop(trial_id, None)

    def _take(self, trial_id: str, running: _Running, result: dict[str, Any]) -> None:
        rows = result.pop("rows", [])
        if rows and running.rows and rows[0].epoch <= running.rows[-1].epoch:
            # A trial that goes on from a checkpoint sends all epochs again.
            running.rows = [row for row in running.rows if row.epoch < rows[0].epoch]
        running.rows += rows
        self._tracking.add(running.job.config, rows)
        message = result.pop("outcome", None)
        for note in result.pop("notes", []):
            self._tell(note)
        if result.pop("stopped", False):
            self._retries.over(running.job)
            self._forget(trial_id, running)  # it goes on from its checkpoint another time
            return
        fault = result.pop("fault", None)
        running.attempt = max(running.attempt, result.pop("attempt", 1))
        if result.pop("pruned", False):
            # Whether it left a checkpoint, only its worker knew.
            self._checkpointed.append(running.job.config.trial_id)
            self._finish(trial_id, running, pruned_after(self._study, running.rows), result)
            return
        if message is None:
            return
        outcome = Outcome(**message)
        if result.pop("checkpointed", False):
            self._checkpointed.append(running.job.config.trial_id)
        if fault is None:
            self._finish(trial_id, running, outcome, result)
        else:
            self._fail(trial_id, running, Fault(fault), outcome, result)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Its machine was taken away with notice: Tune runs the trial again, as often as that happens."""
        self._limit.end(trial.trial_id)
        for running in self._entries(trial).values():
            running.attempt += 1

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The worker is gone, or broke outside the trial's own code."""
        self.lose(trial, _error_of(trial))

    def lose(self, trial: Trial, error: BaseException | None) -> None:
        """Let each trial that ran on a worker start again, or count as failed."""
        self._entries(trial)
        self._lose(trial.trial_id, error)

    def lose_all(self, error: BaseException) -> None:
        """Tune itself has ended over a worker: what was in its hands starts again.

        If one worker ran, the fault was its. If several did, none of them is known to be at fault, and all
        start again; the caller sees to it that this comes to an end.
        """
        running = [trial_id for trial_id, entries in self._running.items() if entries]
        if len(running) == 1:
            self._lose(running[0], error)
        self._retries.take_back()
        for trial_id in list(self._running):
            self._left(trial_id)

    def _lose(self, trial_id: str, error: BaseException | None) -> None:
        why = self._stuck.get(trial_id)
        fault = fault_of(error) if why is None else Fault.STUCK
        entries = list(self._running[trial_id].values())
        for running in entries:
            outcome = Outcome(Status.FAILED, len(running.rows), error=why or told_by_ray(error))
            # Whether it left a checkpoint is known to nobody.
            self._checkpointed.append(running.job.config.trial_id)
            self._fail(trial_id, running, fault, outcome, {}, shared=len(entries) > 1)
        self._left(trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """End workers that are stuck, and write what has waited long enough."""
        for trial_id, why in self._limit.stuck().items():
            self._end(trial_id, why)
        if self._trials and time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def _end(self, trial_id: str, why: str) -> None:
        """Kill a worker that is stuck; Tune then says that the trial's worker is lost."""
        actor = self._actors.get(trial_id)
        if actor is None:
            self._tell(f"a worker is stuck and cannot be ended here ({why}); Ctrl-C stops the study")
            return
        self._stuck[trial_id] = why
        ray.kill(actor)

    def underway(self) -> dict[Phase, tuple[int, float]]:
        """Return for each phase its trials that have sent epochs, and how many whole trials' work that is.

        The progress display asks from a thread of its own, hence the copies.
        """
        counts: dict[Phase, tuple[int, float]] = {}
        for running in [each for group in list(self._running.values()) for each in list(group.values())]:
            if running.rows:
                phase = Phase(running.job.config.phase)
                trials, worth = counts.get(phase, (0, 0.0))
                done = min(len(running.rows) / self._study.task.epochs, 1.0)
                counts[phase] = trials + 1, worth + done
        return counts

    @property
    def waiting(self) -> int:
        """Trials that are over and not written."""
        return len(self._trials)

    def flush(self) -> None:
        """Write everything that is waiting. A failure is kept in ``error``: the driver stops the study."""
        if not self._trials:
            return
        try:
            self._writer.append(self._epochs, self._trials)
        except StoreError as error:
            self.error = error
            self.stopping = True
            return
        ended = {record.trial_id for record in self._trials}
        self._epochs, self._trials = [], []
        self._flushed_at = time.monotonic()
        self._clean_up(ended)

    def _clean_up(self, ended: set[str]) -> None:
        """Remove the checkpoints of trials whose rows are durable now."""
        gone = [name for name in self._checkpointed if name in ended]
        if not gone:
            return
        self._checkpointed = [name for name in self._checkpointed if name not in ended]
        try:
            remove_checkpoints(self._writer.location, gone)
        except StoreError as error:
            self._tell(f"checkpoints were left behind: {error}")

    def _tell(self, note: str) -> None:
        if note not in self._notes:
            self._notes.add(note)
            _log.warning(note)

    def _fail(
        self,
        trial_id: str,
        running: _Running,
        fault: Fault,
        outcome: Outcome,
        result: dict[str, Any],
        *,
        shared: bool = False,
    ) -> None:
        """Let the trial start again if its budget for such a fault allows; else it has failed."""
        job = replace(running.job, attempt=running.attempt)
        error = outcome.error or ""
        if self._retries.again(job, fault, error, shared=shared):
            self._forget(trial_id, running)
            return
        outcome.error = self._retries.told(job, fault, error)
        self._finish(trial_id, running, outcome, result)

    def _entries(self, trial: Trial) -> dict[int, _Running]:
        if trial.trial_id not in self._running:
            jobs = enumerate(jobs_of(trial.config))
            self._running[trial.trial_id] = {n: _Running(n, job, attempt=job.attempt) for n, job in jobs}
        return self._running[trial.trial_id]

    def _forget(self, trial_id: str, running: _Running) -> None:
        del self._running[trial_id][running.number]

    def _finish(self, trial_id: str, running: _Running, outcome: Outcome, result: dict[str, Any]) -> None:
        self._forget(trial_id, running)
        self._retries.over(running.job)
        config, record = running.job.config, self._record(running, outcome, result)
        key = TrialKey(record.trial_id, record.phase, record.schedule, record.seed)
        self._epochs += [(key, row) for row in running.rows]
        self._trials.append(record)
        self._tracking.end(config, failed=record.status is Status.FAILED)
        self.on_step_end(0, [])
        self._controller.complete(record, learned([row.train_loss for row in running.rows]))
        self._on_change()

    def _record(self, running: _Running, outcome: Outcome, result: dict[str, Any]) -> TrialRecord:
        config = running.job.config
        return TrialRecord(
            trial_id=config.trial_id,
            phase=Phase(config.phase),
            schedule=config.schedule,
            seed=config.seed,
            params={**config.params, **outcome.found},
            status=Status(outcome.status),
            error=outcome.error,
            epochs_run=outcome.epochs_run,
            best_val=outcome.best_val,
            best_epoch=outcome.best_epoch,
            objective=outcome.objective,
            test_loss=outcome.test.get("loss"),
            test_accuracy=outcome.test.get("accuracy"),
            test_r2=outcome.test.get("r2"),
            started_at=result.pop("started_at", running.started_at),
            ended_at=result.pop("ended_at", datetime.now(UTC)),
            node=str(result.get("node", "")),
            device=str(result.get("device", "")),
            attempt=running.attempt,
        )


def _error_of(trial: Trial) -> BaseException | None:
    """Return what Tune has kept of a trial's error on this machine: a store elsewhere may not have it yet."""
    kept = trial.pickled_error_file
    if kept is None or not Path(kept).exists():
        error: BaseException | None = trial.get_pickled_error()
        return error
    loaded: BaseException = cloudpickle.loads(Path(kept).read_bytes())
    return loaded
