"""The levels that a study is judged by, and how a run gets to them. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrstudy.rules.arrival import FIRST, Arrival, stay_of
from lrstudy.rules.metrics import Metric
from lrstudy.rules.objective import TARGET, Objective

# Evaluations of a trial from which a level counts as reached only if the run stays there.
MANY_EVALUATIONS = 20


@dataclass(frozen=True, slots=True)
class Goal:
    """A study's targets, arrival rule, and objective, from its settings.

    ``primary`` is the target that the study is to decide, None where the report chooses the targets;
    ``stop`` says which runs end once they have reached ``hardest``. Times are counted in ``clock``; an
    objective never in seconds, because a stopwatch must not decide which configuration wins.
    """

    metric: Metric
    targets: tuple[float, ...] | None
    primary: float | None
    arrival: str
    objective: Objective
    stop: str
    clock: str

    @classmethod
    def of(
        cls, target: Mapping[str, Any], budget: Mapping[str, Any], metric: Metric, clock: str, length: int
    ) -> Goal:
        """Read a study's ``[target]`` and ``[budget]``; what older stores leave out has no effect."""
        values = tuple(target.get("values") or ()) or None
        primary = target.get("primary")
        if primary is None and values:
            primary = hardest_of(values, metric)
        arrival = target.get("arrival") or FIRST
        own = target.get("clock") or clock
        counted = clock if own == "seconds" else own
        objective = Objective.of(
            budget.get("objective") or "best",
            metric,
            primary,
            stay_of(arrival),
            counted,
            float(length) if counted == clock else None,
        )
        return cls(metric, values, primary, arrival, objective, budget.get("stop") or "never", counted)

    @property
    def stay(self) -> int:
        """The evaluations in a row that an arrival needs."""
        return stay_of(self.arrival)

    @property
    def last_arrival(self) -> Arrival | None:
        """The arrival at the hardest target; None without targets."""
        if not self.targets:
            return None
        return Arrival(self.metric, hardest_of(self.targets, self.metric), self.stay)

    def stop_at(self, *, tuning: bool) -> Arrival | None:
        """Return the arrival at which runs of tuning, or confirm runs, end; None: they train to their end.

        A tuning run has told all once it is at the primary target; others once they are at the hardest.
        """
        if tuning:
            return None if self.stop == "never" else self.objective.arrival
        return self.last_arrival if self.stop == "all" else None

    def tells(self, metric: Metric, target: float, stay: int, *, tuning: bool) -> bool:
        """Return True if runs were not stopped before it was known whether they arrive at a target."""
        end = self.stop_at(tuning=tuning)
        if end is None:
            return True
        return metric == end.metric and stay <= end.stay and metric.reaches(end.target, target)

    @property
    def times_matter(self) -> bool:
        """Return True if times to the targets decide trials: which configuration wins, or when one ends."""
        return self.objective.kind == TARGET or self.stop != "never"


def hardest_of(targets: tuple[float, ...], metric: Metric) -> float:
    """Return the hardest of some targets."""
    return max(targets) if metric.higher_is_better else min(targets)


def default_arrival(evaluations: int | None) -> str:
    """Return the arrival rule of a study that names none, from the number of evaluations of a trial.

    >>> default_arrival(40), default_arrival(5), default_arrival(None)
    ('stay:3', 'first', 'first')
    """
    return "stay:3" if evaluations is not None and evaluations >= MANY_EVALUATIONS else FIRST
