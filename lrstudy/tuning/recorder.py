"""The driver's side of a running trial: results become rows in the store, then news for the controller.

The store's writer is called from here and from nowhere else, so that a row has one author.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from lrstudy.errors import StoreError
from lrstudy.records import EpochRecord, Phase, Status, TrialRecord
from lrstudy.store import StoreWriter, TrialKey
from lrstudy.training import Outcome, TrialConfig
from lrstudy.tuning.controller import Controller

# Rows of trials that ended within this time share one write. What a kill loses of it is run again.
FLUSH_SECONDS = 0.5


@dataclass(slots=True)
class _Running:
    config: TrialConfig
    rows: list[EpochRecord] = field(default_factory=list)
    attempt: int = 1
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Recorder(Callback):
    """Takes every result off Tune's hands before Tune stores or prints any of it."""

    def __init__(
        self,
        controller: Controller,
        writer: StoreWriter,
        on_change: Callable[[], None],
    ) -> None:
        self._controller, self._writer = controller, writer
        self._on_change = on_change
        self._running: dict[str, _Running] = {}
        self._epochs: list[tuple[TrialKey, EpochRecord]] = []
        self._trials: list[TrialRecord] = []
        self._flushed_at = time.monotonic()
        self.error: StoreError | None = None
        self.stopping = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles what it is given, to restore it; nothing is ever restored from there.
        return Callback, ()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the epochs; write a trial that is over. Empties ``result`` of what Tune must not keep."""
        running = self._entry(trial)
        rows = result.pop("rows", [])
        if rows and running.rows and rows[0].epoch <= running.rows[-1].epoch:
            # A retried trial repeats epochs that its lost attempt had sent.
            running.rows = [row for row in running.rows if row.epoch < rows[0].epoch]
        running.rows += rows
        message = result.pop("outcome", None)
        if message is not None:
            self._finish(trial, running, Outcome(**message), result)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A machine was lost and Tune runs the trial again."""
        self._entry(trial).attempt += 1

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The machines under a trial failed more often than its budget allows."""
        running = self._entry(trial)
        error = f"lost with its worker {running.attempt} times; the last time: {_cause(trial)}"
        self._finish(trial, running, Outcome(Status.FAILED, len(running.rows), error=error), {})

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Write what has waited long enough."""
        if self._trials and time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

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
        self._epochs, self._trials = [], []
        self._flushed_at = time.monotonic()

    def _entry(self, trial: Trial) -> _Running:
        if trial.trial_id not in self._running:
            self._running[trial.trial_id] = _Running(TrialConfig(**trial.config["trial"]))
        return self._running[trial.trial_id]

    def _finish(self, trial: Trial, running: _Running, outcome: Outcome, result: dict[str, Any]) -> None:
        del self._running[trial.trial_id]
        record = self._record(running, outcome, result)
        key = TrialKey(record.trial_id, record.phase, record.schedule, record.seed)
        self._epochs += [(key, row) for row in running.rows]
        self._trials.append(record)
        self.on_step_end(0, [])
        self._controller.complete(record)
        self._on_change()

    def _record(self, running: _Running, outcome: Outcome, result: dict[str, Any]) -> TrialRecord:
        config = running.config
        return TrialRecord(
            trial_id=config.trial_id,
            phase=Phase(config.phase),
            schedule=config.schedule,
            seed=config.seed,
            params=dict(config.params),
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


def _cause(trial: Trial) -> str:
    error = getattr(trial, "get_pickled_error", lambda: None)()
    return (
        str(error).strip().splitlines()[-1] if error is not None and str(error).strip() else "no cause given"
    )
