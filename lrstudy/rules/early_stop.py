"""The end of a run that has nothing more to tell: it has reached its targets, or can no longer win."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.clocks import time_of
from lrstudy.rules.goal import Goal

if TYPE_CHECKING:
    from lrstudy.spec import Study


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """The evaluation after which a run ends early.

    A run has arrived at the hardest target: it is complete. Or it is at ``cap``, the best time to the primary
    target of configurations that were tried before, without having arrived there: it is pruned, unless its
    last evaluations may still become an arrival before the cap. Both depend on the metric's values alone.
    """

    goal: Goal
    cap: float | None = None

    @classmethod
    def of(cls, study: Study, phase: Phase, cap: float | None) -> EarlyStop | None:
        """Return the rule for a trial of this phase; None if it trains to the end of its budget."""
        goal = study.goal
        tuning = phase in (Phase.TUNE, Phase.SELECT)
        stops = goal.stop == "all" or (goal.stop == "tune" and tuning)
        return cls(goal, cap) if stops and phase is not Phase.RANGE_TEST else None

    def after(self, rows: Sequence[EvaluationRecord]) -> Status | None:
        """Return the status with which a run with these evaluations ends now; None: it continues."""
        column, metric = self.goal.metric.column, self.goal.metric
        measured = (metric.value(row.value(column)) for row in rows)
        values = [math.nan if value is None else value for value in measured]
        last = self.goal.last_arrival
        if last is not None and last.row(values) is not None:
            return Status.COMPLETED
        primary = self.goal.objective.arrival
        if self.cap is None or primary is None or primary.row(values) is not None:
            return None
        began = primary.row_underway(values)
        place = len(rows) - 1 if began is None else began
        return Status.PRUNED if time_of(rows[place], self.goal.clock) >= self.cap else None
