"""The records of a study: one ``EvaluationRecord`` per evaluation of a trial, one ``TrialRecord`` per trial.

These are the only types that training, the store and the analysis share. Standard library only.
In every field ``None`` means "not measured"; NaN is a value that was measured as NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Purpose of a trial: to find a range, to search in it, to choose a winner, or to measure it."""

    RANGE_TEST = "range-test"  # a learning-rate range test, which sets the range that is searched
    TUNE = "tune"
    SELECT = "select"  # the best configurations on further seeds, before one is the winner
    CONFIRM = "confirm"


class Status(StrEnum):
    """State of a trial at its end."""

    COMPLETED = "completed"
    PRUNED = "pruned"  # ended early: by the study's pruner, or because it could no longer win
    DIVERGED = "diverged"  # the loss became NaN, infinite or larger than the study's bound: a result
    FAILED = "failed"  # the code raised: not a result


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecord:
    """Measurements of a trial at one evaluation, and of its training since the evaluation before.

    ``evaluation`` counts from 1. ``step`` (optimizer steps), ``samples``, ``tokens`` and ``epoch`` (passes
    over the training data, fractional) are totals since the start of the trial; the three ``*_seconds``
    are those since the evaluation before. ``train_seconds`` excludes evaluation and includes
    ``estimate_seconds``, the part spent estimating the Lipschitz constant. Training metrics are means over
    the batches as they were trained on; validation metrics are measured at the evaluation. ``lr`` is the
    mean over the steps of the first parameter group's rate, times the factor of an optimizer that finds its
    own step size. ``lipschitz_constant``, ``kz`` and ``weight_norm`` are those that set these steps' rate.

    ``metrics`` are the study's declared metrics; those that have a field here are moved to it.
    """

    evaluation: int
    step: int
    samples: int | None = None
    tokens: int | None = None
    epoch: float | None = None
    train_seconds: float
    estimate_seconds: float
    eval_seconds: float
    lr: float
    lr_min: float
    lr_max: float
    train_loss: float | None = None
    train_accuracy: float | None = None
    train_r2: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_r2: float | None = None
    lipschitz_constant: float | None = None
    kz: float | None = None
    weight_norm: float | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give each metric one place."""
        if not METRIC_FIELDS.isdisjoint(self.metrics):
            for name in METRIC_FIELDS.intersection(self.metrics):
                object.__setattr__(self, name, self.metrics[name])
            others = {name: value for name, value in self.metrics.items() if name not in METRIC_FIELDS}
            object.__setattr__(self, "metrics", others)

    def value(self, column: str) -> float | None:
        """Return the value of a column: a field's or a declared metric's, None where it was not measured."""
        if column in self.metrics:
            return self.metrics[column]
        return getattr(self, column) if column in _FIELDS else None

    def values(self) -> dict[str, float | None]:
        """Return all values by column."""
        return {name: getattr(self, name) for name in _FIELDS} | dict(self.metrics)

    @property
    def when(self) -> str:
        """The point in the training, for a message."""
        return when(self.epoch, self.step)


def when(epoch: float | None, step: int) -> str:
    """Return the text of a point in a training: its epoch where that is whole, else its step.

    >>> when(3.0, 108), when(2.5, 90), when(None, 90)
    ('in epoch 3', 'at step 90', 'at step 90')
    """
    whole = epoch is not None and float(epoch).is_integer()
    return f"in epoch {epoch:.0f}" if whole else f"at step {step}"


_FIELDS: Final = tuple(field.name for field in fields(EvaluationRecord) if field.name != "metrics")
METRIC_FIELDS: Final = frozenset(
    name for name in _FIELDS if name.startswith(("train_", "val_")) and not name.endswith("_seconds")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """Final result of one trial.

    ``trial_id`` is derived, not random: ``fixed-tune-007``. ``replicate`` counts the tunings of a schedule
    from 1. ``params`` are the concrete hyperparameters. ``length`` is the training length in the study's
    clock. ``evaluations_run``, ``steps_run`` and ``epochs_run`` are how far the trial came; for a diverged
    trial, the point at which it diverged. ``best_val`` is the best value of the study's metric;
    ``best_evaluation``, ``best_step`` and ``best_epoch`` are the point at which it was measured.
    ``objective`` is what tuning compared (by default ``best_val``), None for a trial that diverged or
    failed. The ``test_*`` values were measured once, with the weights of that point, for confirm trials
    only. ``gpus`` and ``cpus`` are those of each of its ``workers``. ``attempt`` counts from 1.

    ``slot_seconds`` is the time for which all attempts at it held their worker, the start of training and its
    evaluation included; a trial that was trained side by side with others has its share. ``energy_kwh`` is
    the energy of the attempts that reported it, ``energy_source`` how it is known: ``measured`` or
    ``estimated``.
    """

    trial_id: str
    phase: Phase
    schedule: str
    seed: int
    replicate: int = 1
    params: dict[str, object]
    status: Status
    error: str | None
    length: int | None = None
    evaluations_run: int
    steps_run: int | None = None
    epochs_run: float | None = None
    best_val: float | None
    best_evaluation: int | None
    best_step: int | None = None
    best_epoch: float | None = None
    objective: float | None
    test_loss: float | None
    test_accuracy: float | None
    test_r2: float | None
    started_at: datetime
    ended_at: datetime
    node: str
    device: str
    gpus: float = 0.0
    workers: int = 1
    attempt: int
    cpus: int | None = None
    slot_seconds: float | None = None
    energy_kwh: float | None = None
    energy_source: str | None = None
