"""The protocol between a schedule and the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.rules.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ScheduleContext:
    """The training that a schedule steers.

    Each call of ``batches`` yields all un-augmented training batches, ``(inputs, targets)``; ``accumulate``
    of them make a step. ``higher_is_better`` is the direction of the study's metric. Build the schedule
    before loading a saved optimizer state: it takes the optimizer's rates at that moment as the initial ones.
    ``steps`` is the training length where the last epoch is a part of one. ``own_loop``: the loop is a
    user's, with any number of forward passes in a step. ``batch_count``: how many ``batches`` yields where
    that is not an epoch's number.
    """

    optimizer: Optimizer
    model: nn.Module
    loss_name: str | nn.Module
    loss_options: Mapping[str, Any]
    epochs: int
    steps_per_epoch: int
    batches: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    seed: int
    higher_is_better: bool = True
    accumulate: int = 1
    steps: int | None = None
    own_loop: bool = False
    batch_count: int | None = None

    @property
    def total_steps(self) -> int:
        """Return the training length in optimizer steps."""
        return self.epochs * self.steps_per_epoch if self.steps is None else self.steps


@dataclass(frozen=True, slots=True)
class Measurement:
    """The L, Kz and w̄ of the Lipschitz rule that set the current rate; None where nothing was measured."""

    constant: float | None = None
    kz: float | None = None
    weight_norm: float | None = None


class Schedule(Protocol):
    """A schedule at work on one training; the rate of the first step is set when it is built.

    The loop calls ``before_training`` ahead of an epoch's first step, ``after_step`` after every
    optimizer step, ``before_evaluation`` ahead of an evaluation and ``after_epoch`` after it. If
    ``needs_loss``, it also calls ``before_step`` between each backward pass and the optimizer's step.
    """

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer to train with and to save: the context's, or one that the schedule brought."""

    @property
    def rate(self) -> float:
        """The step size in effect: the first group's ``lr``, times what the optimizer itself found."""

    @property
    def measurement(self) -> Measurement:
        """The measured values that set the current rate."""

    @property
    def needs_loss(self) -> bool:
        """Return True if the rate of a step depends on its loss and gradients."""

    def before_step(self, loss: Tensor) -> None:
        """Set the rate of the step to be made now, from its mean loss.

        The gradients are on the parameters: unscaled, not clipped yet, and averaged over micro-batches and
        ranks like the loss.
        """

    def after_step(self) -> None:
        """Set the rate of the next step."""

    def after_epoch(self, metric: float | None) -> None:
        """Take the study's metric on the validation split (None: not measured), and set the next rate."""

    def before_training(self) -> None:
        """Put the training weights in place."""

    def before_evaluation(self) -> None:
        """Put the weights to evaluate and to save as the result in place."""

    def take_estimate_seconds(self) -> float:
        """Seconds spent on measuring since the last call."""

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors; ``torch.load(weights_only=True)`` reads it."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state; load the optimizer's state first."""

    def close(self) -> None:
        """Remove everything that the schedule attached to the model or the optimizer."""


class ScheduleDefaults:
    """The methods of a schedule that measures nothing and trains with the context's optimizer."""

    optimizer: Optimizer

    @property
    def rate(self) -> float:
        """The first group's ``lr``."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def measurement(self) -> Measurement:
        """Nothing was measured."""
        return Measurement()

    @property
    def needs_loss(self) -> bool:
        """Return True if the rate of a step depends on its loss: here it is known before."""
        return False

    def before_step(self, loss: Tensor) -> None:
        """Nothing to do."""

    def before_training(self) -> None:
        """Nothing to do."""

    def before_evaluation(self) -> None:
        """Nothing to do."""

    def take_estimate_seconds(self) -> float:
        """No time is spent on measuring."""
        return 0.0

    def close(self) -> None:
        """Nothing to remove."""


class WatchingSchedule(ScheduleDefaults, ABC):
    """A schedule that sees the loss of every step and decides when its trial ends.

    After each step the loop calls ``after_loss``, ends the epoch and the trial if ``ended``, and evaluates
    within the epoch if ``evaluation_due``. ``after_evaluation`` follows every evaluation, the one at the
    end of an epoch included. The loop's rule of divergence does not apply.
    """

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Return True if the trial is over."""

    @property
    @abstractmethod
    def evaluation_due(self) -> bool:
        """Return True if the validation split is to be evaluated before the next step."""

    @abstractmethod
    def after_loss(self, loss: float) -> None:
        """Take the loss of the step just made."""

    @abstractmethod
    def after_evaluation(self, metric: float | None) -> None:
        """Take the study's metric on the validation split (None: not measured)."""

    @abstractmethod
    def outcome(self, evaluations: int) -> Outcome:
        """Return how the trial ended."""
