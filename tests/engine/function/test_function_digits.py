"""The built-in digits task written as a user's own function: the same values, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from own_training import group, rows_of

from lrstudy.engine.evaluation import Evaluations
from lrstudy.engine.function import Trial
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import parse_study
from lrstudy.tasks import Seeds, TrainingParts, assemble, load_data

STUDY = parse_study(
    {
        "name": "digits",
        "task": {
            "dataset": "digits",
            "model": {"name": "mlp", "widths": [32], "dropout": 0.1},
            "batch_size": 128,
            "epochs": 4,
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        },
        "target": {"values": [0.8]},
        "schedules": {"fixed": {"lr": 0.1}},
    },
    "test",
)
DATA = load_data(STUDY.built_in, 0, None)
EPOCHS, SEED = STUDY.built_in.epochs, 11


class Batches:
    """The training batches of the built-in task, in the order that its trials draw."""

    def __init__(self, parts: TrainingParts) -> None:
        self.parts, self.generator = parts, parts.order

    def __len__(self) -> int:
        return self.parts.pipeline.steps_per_epoch

    def __iter__(self) -> Iterator[Any]:
        return iter(self.parts.pipeline.train_batches(self.parts.order))


class Unshuffled(Batches):
    """The same in a fixed order, as the Lipschitz rule measures in passes."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.parts.pipeline.batches("train", STUDY.built_in.batch_size))


def train(trial: Trial) -> None:
    """The built-in loop, in a user's words."""
    parts = assemble(STUDY.built_in, DATA, trial.device, Seeds.of_trial(trial.seed))
    schedule = trial.schedule(parts.optimizer, model=parts.model, loader=Unshuffled(parts))
    trial.keep(model=parts.model, optimizer=parts.optimizer)
    loader = Batches(parts)
    for _ in trial.epochs():
        for inputs, targets in trial.steps(loader):
            loss = parts.loss(parts.model(inputs), targets)
            parts.optimizer.zero_grad()
            loss.backward()
            parts.optimizer.step()
            schedule.step()
        with trial.evaluating():
            measured = Evaluations(parts, schedule.schedule, STUDY.metric, lambda: 0.0).measure("validation")
        parts.model.train()
        trial.report(val_loss=measured["loss"], val_accuracy=measured["accuracy"])


COLUMNS = ("epoch", "step", "lr", "lr_min", "lr_max", "val_loss", "val_accuracy")
MEASURED = ("lipschitz_constant", "kz", "weight_norm")


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("fixed", {"lr": 0.1}),
        ("cosine", {"lr": 0.2}),
        ("plateau", {"lr": 0.2, "patience": 0, "factor": 0.5}),
        ("lipschitz", {"measure": "pass"}),
        ("lipschitz", {"measure": "hook"}),
        ("lipschitz", {"measure": "hook", "bound": "valid", "scale": 0.1}),
    ],
)
def test_a_function_gives_the_values_of_the_built_in_task(kind: str, params: dict[str, Any]) -> None:
    own, built_in = both(kind, params)
    for row, record in zip(own, built_in, strict=True):
        for column in (*COLUMNS, *MEASURED):
            assert row[column] == getattr(record, column), (column, record.epoch)


def both(kind: str, params: dict[str, Any]) -> tuple[list[dict[str, Any]], list[EvaluationRecord]]:
    """The rows of the function and the records of the built-in task."""
    config = TrialConfig("t", Phase.TUNE, "s", kind, params, SEED)
    training = Training(STUDY, DATA, config, torch.device("cpu"))
    built_in = list(training.run())
    training.close()
    own = rows_of(
        group(
            train,
            kind,
            params=params,
            seed=SEED,
            epochs=EPOCHS,
            metric=STUDY.metric,
            declared=("val_loss", "val_accuracy"),
        )
    )
    assert len(own) == len(built_in) == EPOCHS
    return own, built_in
