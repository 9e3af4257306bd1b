"""The caller's side of a user's training function, and the exceptions that unwind it."""

from __future__ import annotations

from typing import Protocol

from lrstudy.engine.function.reports import Report
from lrstudy.records import EvaluationRecord


class TrialEnded(BaseException):
    """Raised in a user's function once its trial is over; ``except Exception`` does not catch it."""


class Misfit(BaseException):
    """Raised in a user's function whose objects a checkpoint does not fit: it is called again without one."""


class Caller(Protocol):
    """The side that runs the function: a worker's loop, or ``try_training``."""

    def pause(self, row: EvaluationRecord | None, *, safe: bool) -> bool:
        """Take an evaluation, or none; return True if the trial continues. ``safe``: it may be saved now."""
        ...

    def due(self) -> bool:
        """Return True if the caller wants a pause: cheap, for it is asked between every two steps."""
        ...

    def share(self, report: Report, step: int) -> Report:
        """Return the report that counts at this step: of several workers, rank 0's."""
        ...

    def note(self, text: str) -> None:
        """Take a remark for the run's log."""
        ...
