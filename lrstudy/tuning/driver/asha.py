"""Asynchronous successive halving (ASHA): ends tuning trials that are not worth their remaining epochs.

L. Li et al., A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934. At each rung (an
epoch number) a trial continues if its value so far is among the best 1/``reduction`` of the trials of *the
same schedule* that have reached that rung; the first always does. Trials that reach it at the same time, side
by side in lanes, are compared with each other too. Schedules are never compared with each other: a schedule
with slow progress at the start would lose its trials, and comparing schedules is the study's purpose.

The order in which trials reach a rung decides which of them continue, so that a study with this pruner is
reproducible only with one worker. A resume fills the rungs from the store's rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lrstudy.records import EvaluationRecord, Phase, TrialRecord
from lrstudy.rules.outcome import pruned_after
from lrstudy.rules.rungs import rung_reached, rungs
from lrstudy.spec import Study


@dataclass(frozen=True, slots=True)
class AtRung:
    """A trial that reaches a rung, and its objective so far; ``tuning`` is its schedule and replicate."""

    tuning: tuple[str, int]
    trial_id: str
    rung: int
    objective: float | None


class Pruner:
    """The rungs of every tuning; stops no trial unless the study's pruner is ``asha``."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._higher_is_better = study.objective.higher_is_better
        self._rungs = rungs(study)
        self._costs: dict[tuple[tuple[str, int], int], dict[str, float]] = {}

    def restore(self, trial: TrialRecord, rows: Sequence[EvaluationRecord]) -> None:
        """Add a finished tuning trial to the rungs that it reached."""
        if trial.phase is not Phase.TUNE:
            return
        for end, (before, now) in enumerate(pairwise([None, *rows]), start=1):
            rung = None if now is None else rung_reached(self._study, self._rungs, now, before)
            if rung is not None:
                value = pruned_after(self._study, rows[:end]).objective
                self.stops((trial.schedule, trial.replicate), trial.trial_id, rung, value)

    def stops(self, tuning: tuple[str, int], trial_id: str, rung: int, objective: float | None) -> bool:
        """Return True if a trial that reaches a rung with this objective ends there."""
        return bool(self.stopped([AtRung(tuning, trial_id, rung, objective)]))

    def stopped(self, arrivals: Sequence[AtRung]) -> set[str]:
        """Return the ids of the trials that end at their rungs, of those that reach them at the same time."""
        for arrival in arrivals:
            self._rung(arrival)[arrival.trial_id] = self._cost(arrival.objective)
        return {arrival.trial_id for arrival in arrivals if self._falls_behind(arrival)}

    def _falls_behind(self, arrival: AtRung) -> bool:
        costs = self._rung(arrival)
        kept = max(1, len(costs) // self._study.budget.reduction)
        return costs[arrival.trial_id] > sorted(costs.values())[kept - 1]

    def _rung(self, arrival: AtRung) -> dict[str, float]:
        return self._costs.setdefault((arrival.tuning, arrival.rung), {})

    def _cost(self, objective: float | None) -> float:
        if objective is None:
            return math.inf
        return -objective if self._higher_is_better else objective
