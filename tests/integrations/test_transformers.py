"""A trial whose loop is the Trainer of Transformers."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from framework_trials import BATCH, ROWS, continued, cosine_rates, rows
from torch import nn
from torch.nn.functional import cross_entropy

from lrstudy import try_training
from lrstudy.engine.function import Trial
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord

pytest.importorskip("transformers", reason="needs pip install 'lrstudy[transformers]'")
with warnings.catch_warnings(action="ignore"):  # of what it imports
    from transformers import Trainer, TrainingArguments

    from lrstudy.integrations.transformers import TrialCallback

pytestmark = pytest.mark.filterwarnings("ignore")

METRICS = {"eval_loss": "min"}


class Model(nn.Module):
    """A linear classifier that returns a dict with its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.layers(x)
        return {"loss": cross_entropy(logits, labels), "logits": logits}


def data() -> list[dict[str, torch.Tensor]]:
    return [{"x": x, "labels": label} for x, label in zip(*rows(), strict=True)]


class Rates(Trainer):
    """Notes the rate of every step."""

    rates: list[float]

    def training_step(self, *given: Any, **more: Any) -> torch.Tensor:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return super().training_step(*given, **more)


def training(rates: list[float], metrics: dict[str, str] | None = None, **options: Any) -> Any:
    def train(trial: Trial) -> None:
        model = Model()
        optimizer = torch.optim.AdamW(model.parameters(), lr=trial.lr)
        schedule = trial.schedule(optimizer, model=model, steps_per_epoch=ROWS // BATCH)
        callback = TrialCallback(trial, metrics=metrics)
        batch = {"per_device_train_batch_size": BATCH}
        trainer = Rates(
            model,
            TrainingArguments(**callback.training_arguments(**batch, **options)),
            train_dataset=data(),
            eval_dataset=data(),
            optimizers=(schedule.optimizer, schedule),
            callbacks=[callback],
        )
        trainer.rates = rates
        trainer.train(resume_from_checkpoint=callback.checkpoint)

    return train


def tried(schedule: Any = "cosine", **options: Any) -> tuple[list[EvaluationRecord], list[float]]:
    rates: list[float] = []
    lengths = {name: options.pop(name) for name in ("steps", "epochs", "evaluate_every") if name in options}
    declared = options.pop("declared", METRICS)
    records = try_training(training(rates, **options), schedule, metrics=declared, show=False, **lengths)
    return records, rates


def test_the_rate_of_every_step_is_the_schedule_s() -> None:
    records, rates = tried({"kind": "cosine", "lr": 0.2}, steps=25, evaluate_every=10)
    assert rates == pytest.approx(cosine_rates(0.2, 25), rel=1e-4)
    assert [row.step for row in records] == [10, 20, 25]
    assert [row.train_loss is None for row in records] == [False, False, True]
    assert all(row.metrics["eval_loss"] is not None for row in records)


def test_epochs_are_evaluated_at_their_ends() -> None:
    records, rates = tried(epochs=2)
    assert [(row.step, row.epoch) for row in records] == [(12, 1.0), (24, 2.0)]
    assert len(rates) == 24


def test_accumulated_batches_make_one_step() -> None:
    records, rates = tried(steps=6, evaluate_every=3, gradient_accumulation_steps=2)
    assert [row.step for row in records] == [3, 6]
    assert len(rates) == 12


@pytest.mark.parametrize("schedule", ["lipschitz", "prodigy"])
def test_a_rule_that_measures_and_one_that_brings_an_optimizer_set_their_rates(schedule: str) -> None:
    pytest.importorskip("prodigyopt")
    records, _ = tried(schedule, steps=24, evaluate_every=12)
    assert records[0].lr != records[1].lr


def test_a_metric_may_have_another_name_in_the_study() -> None:
    records, _ = tried(
        steps=6, evaluate_every=3, declared={"val_loss": "min"}, metrics={"val_loss": "eval_loss"}
    )
    assert all(row.val_loss is not None for row in records)


def test_a_declared_metric_that_is_not_measured_is_refused() -> None:
    with pytest.raises(ContractError, match=r"trial\.report lacks val_f1"):
        tried(steps=6, evaluate_every=3, declared={"val_f1": "max"})


def test_an_interrupted_trial_continues_bit_by_bit_in_mid_epoch() -> None:
    whole, rests, checkpoints = continued(training([]), "eval_loss", (1, 2), steps=30, evaluate_every=8)
    assert len(whole) == 4
    assert checkpoints == 3
    assert rests == [whole[1:], whole[2:]]
