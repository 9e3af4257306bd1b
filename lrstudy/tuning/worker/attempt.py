"""One attempt at a trial, on its worker's side: its checkpoints, epochs and messages to the driver."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import ray

from lrstudy.engine.trial import State
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.early_stop import EarlyStop
from lrstudy.rules.outcome import Outcome, pruned_after
from lrstudy.safe_text import safe_text
from lrstudy.spec import Study
from lrstudy.store import Location
from lrstudy.tuning.fault import Fault
from lrstudy.tuning.job import Job
from lrstudy.tuning.messages import Attempt, Ended, Rung, Stopped, TrialMessage
from lrstudy.tuning.worker.checkpoints import Saved, TrialCheckpoints


@dataclass(slots=True)
class TrialAttempt:
    """An attempt in progress. ``history`` has all of the trial's epochs, for checkpoints.

    ``ended`` is True once the attempt has ended or the driver has pruned the trial; ``silent`` once the
    driver needs no further message. ``energy_kwh`` is the energy that no message has told yet.
    """

    job: Job
    number: int
    device: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    checkpoints: TrialCheckpoints | None = None
    saved: Saved | None = None
    history: list[EvaluationRecord] = field(default_factory=list)
    ended: bool = False
    silent: bool = False
    energy_kwh: float | None = None
    energy_source: str | None = None
    _notes: list[str] = field(default_factory=list)
    _sent: int = 0
    _event: Rung | Ended | Stopped | None = None
    _early: EarlyStop | None = None
    _status: Status | None = None

    @property
    def trial_id(self) -> str:
        """The id of the trial."""
        return self.job.config.trial_id

    def open(self, study: Study, store: Location) -> None:
        """Read the trial's checkpoint, if there is one, into ``saved``."""
        self.checkpoints = TrialCheckpoints(
            store,
            study.spec_hash,
            self.job.config,
            study.faults,
            notes=self._notes,
            any_pause=study.function is not None or study.built_in.evaluate_every is not None,
        )
        self.saved = self.checkpoints.load()
        config = self.job.config
        self._early = EarlyStop.of(study, Phase(config.phase), config.cap)

    def resume(self) -> None:
        """Continue from ``saved``, if there is one; all its epochs are sent: the driver may have none."""
        if self.saved is None:
            return
        self.history, self._sent = list(self.saved.rows), 0
        self.number = max(self.number, self.saved.attempt + 1)
        self.started_at = self.saved.started_at
        self.saved = None

    def save(self, state: State) -> None:
        """Write a checkpoint."""
        assert self.checkpoints is not None
        self.checkpoints.save(state, self.history, self.number, self.started_at)

    def checkpoint_due(self) -> bool:
        """Return True if a checkpoint must be written after the last epoch."""
        return self.checkpoints is not None and self.checkpoints.due(len(self.history))

    def add(self, row: EvaluationRecord) -> None:
        """Add an evaluation; a trial that started again repeats those from its first on."""
        if row.evaluation <= len(self.history):
            del self.history[row.evaluation - 1 :]
            self._sent = min(self._sent, len(self.history))
        self.history.append(row)

    def ends_early(self) -> bool:
        """Return True if the trial ends with its last evaluation, before its budget is used up."""
        self._status = None if self._early is None else self._early.after(self.history)
        return self._status is not None

    def note(self, *notes: str) -> None:
        """Keep remarks for the run's log."""
        self._notes += notes

    def at_rung(self, study: Study, rung: int) -> None:
        """Report the objective so far with the next message."""
        objective = pruned_after(study, self.history).objective
        self._event = Rung(rung, objective, self._about())

    def pruned(self) -> None:
        """End the attempt at the reported rung; the driver needs no message."""
        self.ended = self.silent = True

    def stop(self) -> None:
        """End the attempt because its schedule was stopped; the next message reports it."""
        self._event = Stopped()
        self.ended = True

    def end(self, outcome: Outcome, fault: Fault | None = None) -> None:
        """End the attempt; the next message reports it."""
        if fault is None and outcome.status is Status.COMPLETED and self._status is not None:
            outcome = replace(outcome, status=self._status)
        used = self.checkpoints is not None and self.checkpoints.used
        self._event = Ended(outcome, self._about(), fault, used)
        self.ended = True

    def fail(self, fault: Fault, error: str) -> None:
        """End the attempt with a fault."""
        self.end(Outcome(Status.FAILED, len(self.history), error=error), fault)

    def add_energy(self, kwh: float, source: str) -> None:
        """Add an energy, to be sent with the next message."""
        self.energy_kwh, self.energy_source = kwh + (self.energy_kwh or 0.0), source

    def message(self, *, last: bool) -> TrialMessage:
        """Return the new epochs and the event; ``last`` stops an attempt that has not ended."""
        event = Stopped() if last and not self.ended else self._event
        rows = tuple(self.history[self._sent :])
        self._sent, self._event, self.silent = len(self.history), None, self.ended
        notes = tuple(self._notes)
        self._notes.clear()  # the checkpoints have the same list
        energy, self.energy_kwh = self.energy_kwh, None
        return TrialMessage(self.trial_id, rows, event, notes, energy, self.energy_source)

    def _about(self) -> Attempt:
        node = safe_text(f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:8]}")
        return Attempt(self.number, self.started_at, datetime.now(UTC), node, safe_text(self.device))
