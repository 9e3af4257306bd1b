"""The end of a run that has nothing more to tell: it has reached its targets, or can no longer win."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.arrival import Arrival
from lrstudy.rules.clocks import time_of
from lrstudy.rules.goal import Goal

if TYPE_CHECKING:
    from lrstudy.spec import Study


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """The evaluation after which a run ends early.

    A run has arrived at ``arrival``: it is complete. Or it can no longer arrive at the primary target before
    ``cap``, the best time of configurations that were tried before: it is pruned. Both depend on the metric's
    values alone.
    """

    goal: Goal
    arrival: Arrival
    cap: float | None = None

    @classmethod
    def of(cls, study: Study, phase: Phase, cap: float | None) -> EarlyStop | None:
        """Return the rule for a trial of this phase; None if it trains to the end of its budget."""
        if phase is Phase.RANGE_TEST:
            return None
        arrival = study.goal.stop_at(tuning=phase in (Phase.TUNE, Phase.SELECT))
        return None if arrival is None else cls(study.goal, arrival, cap)

    def after(self, rows: Sequence[EvaluationRecord]) -> Status | None:
        """Return the status with which a run with these evaluations ends now; None: it continues."""
        column, metric = self.goal.metric.column, self.goal.metric
        measured = (metric.value(row.value(column)) for row in rows)
        values = [math.nan if value is None else value for value in measured]
        if self.arrival.row(values) is not None:
            return Status.COMPLETED
        if self.cap is None:
            return None
        began = self.arrival.row_underway(values)
        # The last evaluation that is known to be before an arrival.
        before = len(rows) - 1 if began is None else began - 1
        too_late = before >= 0 and time_of(rows[before], self.goal.clock) >= self.cap
        return Status.PRUNED if too_late else None
