"""Data of a trial whose loop a framework owns, and its run with its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from lrstudy.engine.function import FunctionGroup, Settings, Trial
from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import Outcome

ROWS, BATCH = 96, 8  # twelve steps of an epoch

Losses = list[tuple[int, float | None, float | None, float]]


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs of four numbers and their three classes."""
    inputs = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(1))
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()


def cosine_rates(lr: float, steps: int) -> list[float]:
    return [lr / 2 * (1 + math.cos(step / steps * math.pi)) for step in range(steps)]


def continued(
    train: Callable[[Trial], None], metric: str, done: tuple[int, ...], **lengths: int
) -> tuple[Losses, list[Losses], int]:
    """Return the losses of a whole trial and, after so many evaluations, of those that continue it.

    The number is that of the whole trial's checkpoints.
    """
    states: list[Any] = []
    whole = _losses(_run(_group(train, metric, **lengths), states), metric)
    rests = []
    for evaluations in done:
        resumed = _group(train, metric, **lengths)
        resumed.load(0, states[evaluations - 1])
        rests.append(_losses(_run(resumed, []), metric))
    return whole, rests, len(states)


def _group(train: Callable[[Trial], None], metric: str, **lengths: int) -> FunctionGroup:
    settings = Settings(
        seed=3,
        schedule="cosine",
        kind="cosine",
        schedule_params={"lr": 0.3},
        metric=Metric(metric, metric, False, 0.0, math.inf, None),
        declared=(metric,),
        **lengths,
    )
    return FunctionGroup(train, settings, lambda rows, _: Outcome(Status.COMPLETED, len(rows)))


def _run(trial: FunctionGroup, states: list[Any]) -> Iterator[EvaluationRecord]:
    try:
        for pause in trial.run():
            yield from pause.rows.values()
            if (state := trial.state(0)) is not None:
                states.append(state)
    finally:
        trial.close()


def _losses(records: Iterator[EvaluationRecord], metric: str) -> Losses:
    return [(row.step, row.value(metric), row.train_loss, row.lr) for row in records]
