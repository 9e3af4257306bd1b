"""The rungs of successive halving: the epochs after which tuning trials are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrstudy.spec import Study


def rungs(study: Study) -> tuple[int, ...]:
    """Return the epochs of a study's rungs: none without a pruner, never the last epoch."""
    budget = study.budget
    if budget.pruner == "none":
        return ()
    epochs, rung = [], budget.grace_epochs
    while rung < study.task.epochs:
        epochs.append(rung)
        rung *= budget.reduction
    return tuple(epochs)
