"""Messages from a worker to the driver. Everything here is frozen and can be pickled.

Tune carries a ``WorkerReport`` under one key of a result. The worker's call returns once Tune has processed
the report, so that the driver may decide about a trial before its worker continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lrstudy.records import EvaluationRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.tuning.fault import Fault

_KEY: Final = "report"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a trial. ``number`` counts from 1; ``ended_at`` is the time of the message."""

    number: int
    started_at: datetime
    ended_at: datetime
    node: str
    device: str


@dataclass(frozen=True, slots=True)
class Rung:
    """An event: a trial has come to a rung, with this objective so far; the driver may prune it."""

    epoch: int
    objective: float | None
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Ended:
    """An event: an attempt has ended; without a ``fault``, so has the trial.

    ``checkpointed`` is True if there are checkpoints to remove.
    """

    outcome: Outcome
    attempt: Attempt
    fault: Fault | None = None
    checkpointed: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """An event: an attempt has ended because a stop was requested; the trial has not ended."""


@dataclass(frozen=True, slots=True)
class TrialMessage:
    """The evaluations of one trial since its last message, and the event that followed them, if any.

    ``notes`` are for the run's log. ``energy_kwh`` is the energy since the last message that had one, None if
    none is measured, and ``energy_source`` how it is known.
    """

    trial_id: str
    rows: tuple[EvaluationRecord, ...] = ()
    event: Rung | Ended | Stopped | None = None
    notes: tuple[str, ...] = ()
    energy_kwh: float | None = None
    energy_source: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A report from a worker: a message for each of its trials that has not ended.

    A report without messages says that the worker has loaded the study and that its first epoch begins.
    ``sees_stop`` is True if the worker can see a request to stop, which is a file in the driver's store.
    ``device`` is the name of the device that it trains on; empty until it is known.
    """

    messages: tuple[TrialMessage, ...] = ()
    sees_stop: bool = True
    device: str = ""

    def to_result(self) -> dict[str, Any]:
        """Return the result that Tune carries to the driver."""
        epochs = sum(len(message.rows) for message in self.messages)
        # Without a value from the trial, Tune prints that the trial is completed, at any verbosity.
        return {_KEY: self, "epochs": epochs}

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> WorkerReport:
        """Return the report in a result of Tune."""
        report = result.get(_KEY)
        return report if isinstance(report, cls) else cls()

    @classmethod
    def taken_from(cls, result: dict[str, Any]) -> WorkerReport:
        """Remove the report from a result, so that Tune does not keep it; return the report."""
        report = cls.of(result)
        result.pop(_KEY, None)
        return report
