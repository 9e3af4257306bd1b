"""The records of a study: one ``EpochRecord`` per trial and epoch, one ``TrialRecord`` per trial.

These are the only types that training, the store and the analysis share. Standard library only.
In every field ``None`` means "not measured"; NaN is a value that was measured as NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """Purpose of a trial: to find a range, to search hyperparameters in it, or to measure a winner."""

    RANGE_TEST = "range-test"  # a learning-rate range test, which sets the range that is searched
    TUNE = "tune"
    CONFIRM = "confirm"


class Status(StrEnum):
    """State of a trial at its end."""

    COMPLETED = "completed"
    PRUNED = "pruned"  # ended early by the study's pruner
    DIVERGED = "diverged"  # the loss became NaN, infinite or larger than the study's bound: a result
    FAILED = "failed"  # the code raised: not a result


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """Measurements of one epoch of one trial.

    ``epoch`` counts from 1; ``step`` (optimizer steps) and ``samples`` (training rows seen) are totals
    since the start of the trial; the three ``*_seconds`` belong to this epoch alone. ``train_seconds``
    excludes evaluation and includes ``estimate_seconds``, the part spent estimating the Lipschitz
    constant. Training metrics are means over the epoch's batches as they were trained on; validation
    metrics are taken after the epoch. ``lr`` is the mean over the epoch's steps of the first parameter
    group's rate, times the factor of an optimizer that finds its own step size. ``lipschitz_constant``,
    ``kz`` and ``weight_norm`` are those that set this epoch's rate.
    """

    epoch: int
    step: int
    samples: int
    train_seconds: float
    estimate_seconds: float
    eval_seconds: float
    lr: float
    lr_min: float
    lr_max: float
    train_loss: float
    train_accuracy: float | None
    train_r2: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_r2: float | None
    lipschitz_constant: float | None = None
    kz: float | None = None
    weight_norm: float | None = None


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """Final result of one trial.

    ``trial_id`` is derived, not random: ``fixed-tune-007``. ``params`` are the concrete hyperparameters.
    ``best_val`` is the best value of the study's metric and ``best_epoch`` its epoch; ``objective``
    is what tuning compared (by default ``best_val``), None for a trial that diverged or failed. The
    ``test_*`` values were measured once, with the weights of that epoch, for confirm trials only. For a
    diverged trial ``epochs_run`` is the epoch in which it diverged. ``attempt`` counts from 1.
    """

    trial_id: str
    phase: Phase
    schedule: str
    seed: int
    params: dict[str, object]
    status: Status
    error: str | None
    epochs_run: int
    best_val: float | None
    best_epoch: int | None
    objective: float | None
    test_loss: float | None
    test_accuracy: float | None
    test_r2: float | None
    started_at: datetime
    ended_at: datetime
    node: str
    device: str
    attempt: int
