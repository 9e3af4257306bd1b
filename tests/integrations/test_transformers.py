"""A trial whose loop is the Trainer of Transformers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lrstudy import try_training
from lrstudy.engine.function import FunctionGroup, Settings, Trial
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import Outcome

pytest.importorskip("transformers", reason="needs pip install 'lrstudy[transformers]'")
with warnings.catch_warnings(action="ignore"):  # of what it imports
    from transformers import Trainer, TrainingArguments

    from lrstudy.integrations.transformers import TrialCallback

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, BATCH = 96, 8  # twelve steps of an epoch
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
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(ROWS, 4, generator=generator)
    labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    return [{"x": x, "labels": label} for x, label in zip(inputs, labels, strict=True)]


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
    rows = try_training(training(rates, **options), schedule, metrics=declared, show=False, **lengths)
    return rows, rates


def test_the_rate_of_every_step_is_the_schedule_s() -> None:
    rows, rates = tried({"kind": "cosine", "lr": 0.2}, steps=25, evaluate_every=10)
    expected = [0.1 * (1 + torch.tensor(step / 25 * torch.pi).cos().item()) for step in range(25)]
    assert rates == pytest.approx(expected, rel=1e-4)
    assert [row.step for row in rows] == [10, 20, 25]
    assert [row.train_loss is None for row in rows] == [False, False, True]
    assert all(row.metrics["eval_loss"] is not None for row in rows)


def test_epochs_are_evaluated_at_their_ends() -> None:
    rows, rates = tried(epochs=2)
    assert [(row.step, row.epoch) for row in rows] == [(12, 1.0), (24, 2.0)]
    assert len(rates) == 24


def test_accumulated_batches_make_one_step() -> None:
    rows, rates = tried(steps=6, evaluate_every=3, gradient_accumulation_steps=2)
    assert [row.step for row in rows] == [3, 6]
    assert len(rates) == 12


@pytest.mark.parametrize("schedule", ["lipschitz", "prodigy"])
def test_a_rule_that_measures_and_one_that_brings_an_optimizer_set_their_rates(schedule: str) -> None:
    pytest.importorskip("prodigyopt")
    rows, _ = tried(schedule, steps=24, evaluate_every=12)
    assert rows[0].lr != rows[1].lr


def test_a_metric_may_have_another_name_in_the_study() -> None:
    rows, _ = tried(
        steps=6, evaluate_every=3, declared={"val_loss": "min"}, metrics={"val_loss": "eval_loss"}
    )
    assert all(row.val_loss is not None for row in rows)


def test_a_declared_metric_that_is_not_measured_is_refused() -> None:
    with pytest.raises(ContractError, match=r"trial\.report lacks val_f1"):
        tried(steps=6, evaluate_every=3, declared={"val_f1": "max"})


def group() -> FunctionGroup:
    settings = Settings(
        seed=3,
        schedule="cosine",
        kind="cosine",
        schedule_params={"lr": 0.3},
        metric=Metric("eval_loss", "eval_loss", False, 0.0, float("inf"), None),
        declared=("eval_loss",),
        steps=30,
        evaluate_every=8,
    )
    return FunctionGroup(training([]), settings, lambda rows, _: Outcome(Status.COMPLETED, len(rows)))


def losses(rows: list[EvaluationRecord]) -> list[tuple[int, float | None, float | None, float]]:
    return [(row.step, row.metrics["eval_loss"], row.train_loss, row.lr) for row in rows]


def run(trial: FunctionGroup, states: list[Any]) -> Iterator[EvaluationRecord]:
    try:
        for pause in trial.run():
            yield from pause.rows.values()
            if (state := trial.state(0)) is not None:
                states.append(state)
    finally:
        trial.close()


def test_an_interrupted_trial_continues_bit_by_bit_in_mid_epoch() -> None:
    states: list[Any] = []
    whole = losses(list(run(group(), states)))
    assert len(whole) == 4
    assert len(states) == 3
    for done in (1, 2):
        resumed = group()
        resumed.load(0, states[done - 1])
        assert losses(list(run(resumed, []))) == whole[done:]
