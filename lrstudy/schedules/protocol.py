"""The protocol between a schedule and the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True, slots=True)
class ScheduleContext:
    """The training that a schedule steers.

    ``batches`` yields the un-augmented training batches, ``(inputs, targets)``, drawn again at each call;
    ``higher_is_better`` is the direction of the study's metric. Build the schedule before loading a
    saved optimizer state: the optimizer's rates at that moment are taken for its own.
    """

    optimizer: Optimizer
    model: nn.Module
    loss_name: str
    loss_options: Mapping[str, Any]
    epochs: int
    steps_per_epoch: int
    batches: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    seed: int
    higher_is_better: bool = True

    @property
    def total_steps(self) -> int:
        """The training length in optimizer steps."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True, slots=True)
class Measurement:
    """L, Kz and w̄ that set the current rate of the Lipschitz rule; None where nothing was measured."""

    constant: float | None = None
    kz: float | None = None
    weight_norm: float | None = None


class Schedule(Protocol):
    """A schedule at work on one training; the rate of the first step is set when it is built.

    The loop calls ``before_training`` ahead of an epoch's first step, ``after_step`` after every
    optimizer step, ``before_evaluation`` ahead of an evaluation and ``after_epoch`` after it.
    """

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer to train with and to save: the context's, or one that the schedule brought."""

    @property
    def rate(self) -> float:
        """The step size in effect: the first group's ``lr``, times what the optimizer itself found."""

    @property
    def measurement(self) -> Measurement:
        """Return the measurement that set the current rate."""

    def after_step(self) -> None:
        """Set the rate of the next step."""

    def after_epoch(self, metric: float | None) -> None:
        """Hear the study's metric on the validation split (None: not measured), and set the next rate."""

    def before_training(self) -> None:
        """Put the training weights in place."""

    def before_evaluation(self) -> None:
        """Put the weights to evaluate and to save as the result in place."""

    def take_estimate_seconds(self) -> float:
        """Seconds spent on measuring since the last call."""

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors; ``torch.load(weights_only=True)`` reads it."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state; load the optimizer's state first."""

    def close(self) -> None:
        """Remove everything that the schedule attached to the model or the optimizer."""


class ScheduleDefaults:
    """The answers of a schedule that measures nothing and trains with the context's optimizer."""

    optimizer: Optimizer

    @property
    def rate(self) -> float:
        """The first group's ``lr``."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def measurement(self) -> Measurement:
        """Nothing was measured."""
        return Measurement()

    def before_training(self) -> None:
        """Nothing to do."""

    def before_evaluation(self) -> None:
        """Nothing to do."""

    def take_estimate_seconds(self) -> float:
        """No time is spent on measuring."""
        return 0.0

    def close(self) -> None:
        """Nothing to remove."""
