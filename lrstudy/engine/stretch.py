"""The training between two evaluations, and the record of the evaluation at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrstudy.records import EvaluationRecord
from lrstudy.rules.averages import mean_rate
from lrstudy.schedules import Measurement


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some steps of a training and the evaluation after them.

    ``rates`` are those of the steps and ``measured`` what set the last of them; ``train`` are the metrics of
    the batches trained on and ``validation`` those of the evaluation, by column. ``seconds`` are the times of
    training, of measuring (a part of it) and of evaluating.
    """

    rates: Sequence[float]
    measured: Measurement
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: tuple[float, float, float]

    @property
    def known_rates(self) -> Sequence[float]:
        """The rates that are known: an optimizer that finds its step size (DoG) has none before a step."""
        return [rate for rate in self.rates if not math.isnan(rate)] or self.rates

    @property
    def rate(self) -> float:
        """The mean rate of the steps."""
        return mean_rate(self.known_rates)

    def record(
        self,
        *,
        evaluation: int,
        step: int,
        samples: int,
        epoch: float,
        setup_seconds: float,
        metrics: Mapping[str, float | None],
    ) -> EvaluationRecord:
        """Return the record, at this place of the training; ``setup_seconds`` are added to the training's."""
        train_seconds, estimate_seconds, eval_seconds = self.seconds
        rates = self.known_rates
        return EvaluationRecord(
            evaluation=evaluation,
            step=step,
            samples=samples,
            epoch=epoch,
            train_seconds=train_seconds + setup_seconds,
            estimate_seconds=estimate_seconds,
            eval_seconds=eval_seconds,
            lr=self.rate,
            lr_min=min(rates),
            lr_max=max(rates),
            train_loss=self.train["loss"],
            train_accuracy=self.train.get("accuracy"),
            train_r2=self.train.get("r2"),
            val_loss=self.validation["val_loss"],
            val_accuracy=self.validation.get("val_accuracy"),
            val_r2=self.validation.get("val_r2"),
            lipschitz_constant=self.measured.constant,
            kz=self.measured.kz,
            weight_norm=self.measured.weight_norm,
            metrics=metrics,
        )
