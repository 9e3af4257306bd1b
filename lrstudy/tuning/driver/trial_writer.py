"""The writing of ended trials to the store.

Only this module calls the store's writer, so that a row is written in one place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lrstudy.errors import StoreError
from lrstudy.records import EvaluationRecord, TrialRecord
from lrstudy.store import StoreWriter, TrialKey
from lrstudy.tuning.worker.checkpoints import remove_checkpoints

# Rows of trials that ended within this time share one write. Trials whose rows a kill loses are run again.
FLUSH_SECONDS = 0.5


class TrialWriter:
    """Collects the rows of ended trials and writes them together, then removes the trials' checkpoints.

    ``error`` is a failure to write: the driver then stops the study. ``warn`` gets warnings for the log.
    """

    def __init__(self, writer: StoreWriter, warn: Callable[[str], None]) -> None:
        self._writer, self._warn = writer, warn
        self._evaluations: list[tuple[TrialKey, EvaluationRecord]] = []
        self._trials: list[TrialRecord] = []
        self._checkpointed: list[str] = []
        self._flushed_at = time.monotonic()
        self.error: StoreError | None = None

    def add(self, record: TrialRecord, rows: Sequence[EvaluationRecord]) -> None:
        """Add a trial that has ended; it is written with the next flush."""
        key = TrialKey(record.trial_id, record.phase, record.schedule, record.seed)
        self._evaluations += [(key, row) for row in rows]
        self._trials.append(record)

    def add_checkpointed(self, trial_id: str) -> None:
        """Note that a trial may have checkpoints, to be removed once its rows are durable."""
        self._checkpointed.append(trial_id)

    @property
    def waiting(self) -> int:
        """The number of ended trials that are not written yet."""
        return len(self._trials)

    def flush_if_due(self) -> None:
        """Write the trials that have waited long enough."""
        if self._trials and time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows that are waiting; a failure is kept in ``error``."""
        if not self._trials:
            return
        try:
            self._writer.append(self._evaluations, self._trials)
        except StoreError as error:
            self.error = error
            return
        ended = {record.trial_id for record in self._trials}
        self._evaluations, self._trials = [], []
        self._flushed_at = time.monotonic()
        self._clean_up(ended)

    def _clean_up(self, ended: set[str]) -> None:
        """Remove the checkpoints of trials whose rows are durable now."""
        removed = [name for name in self._checkpointed if name in ended]
        if not removed:
            return
        self._checkpointed = [name for name in self._checkpointed if name not in ended]
        try:
            remove_checkpoints(self._writer.location, removed)
        except StoreError as error:
            self._warn(f"checkpoints could not be removed: {error}")
