"""The rungs of successive halving: the epochs after which tuning trials are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrstudy.records import EvaluationRecord

if TYPE_CHECKING:
    from lrstudy.spec import Study


def rungs(study: Study) -> tuple[int, ...]:
    """Return the epochs of a study's rungs: none without a pruner, never the last epoch.

    For a user's training these are evaluations.
    """
    budget = study.budget
    if budget.pruner == "none":
        return ()
    epochs, rung = [], budget.grace_epochs
    last = study.built_in.epochs if study.function is None else study.function.evaluations or 0
    while rung < last:
        epochs.append(rung)
        rung *= budget.reduction
    return tuple(epochs)


def rung_reached(
    study: Study, stops: Sequence[int], now: EvaluationRecord, before: EvaluationRecord | None
) -> int | None:
    """Return the rung, of ``stops``, that a trial reaches between two evaluations, or None.

    Evaluations need not be at the epochs' ends: the first after a rung counts, and of several rungs that it
    reaches, the last.
    """
    start, end = 0.0 if before is None else _progress(study, before), _progress(study, now)
    return max((rung for rung in stops if start < rung <= end), default=None)


def _progress(study: Study, row: EvaluationRecord) -> float:
    """Return how far a trial has come, in the unit of the rungs."""
    return float(row.evaluation if study.function is not None or row.epoch is None else row.epoch)
