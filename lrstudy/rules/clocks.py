"""The clocks that a training is measured by, and the columns that hold them. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from lrstudy.records import EvaluationRecord

COLUMN_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "epochs": "epoch",
        "steps": "step",
        "samples": "samples",
        "tokens": "tokens",
        "seconds": "train_seconds",
    }
)
CLOCKS: Final = tuple(COLUMN_OF)
# A clock of reports whose times are money: where a study names prices, its name there is the currency.
COST: Final = "cost"
UNIT_OF: Final[Mapping[str, str]] = MappingProxyType({clock: clock.removesuffix("s") for clock in CLOCKS})
# Their columns hold the time since the evaluation before; those of the others the time since the start.
DIFFERENCES: Final = frozenset({"seconds"})


def clock_of(task: Mapping[str, Any]) -> tuple[str, int]:
    """Return the clock and the training length that a task sets by ``steps`` or ``epochs``.

    Recorded runs that were counted in neither set it by another clock.

    >>> clock_of({"epochs": 30}), clock_of({"steps": 5000, "epochs": None})
    (('epochs', 30), ('steps', 5000))
    """
    clock = next((name for name in CLOCKS if name != "epochs" and task.get(name) is not None), "epochs")
    return clock, int(task[clock])


def time_of(row: EvaluationRecord, clock: str) -> float:
    """Return the time of an evaluation in a clock other than ``seconds``; 0 where it is not known."""
    value = getattr(row, COLUMN_OF[clock])
    return 0.0 if value is None else float(value)


def share_done(row: EvaluationRecord, clock: str, length: int) -> float:
    """Return the part of a trial that is done at an evaluation; 0 where its clock is unknown."""
    at = row.step if clock == "steps" else row.epoch
    return 0.0 if at is None else min(float(at) / length, 1.0)
