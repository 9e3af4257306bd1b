"""The rungs of successive halving: the epochs after which tuning trials are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
