"""A trial whose loop is Lightning's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from framework_trials import BATCH, ROWS, continued, cosine_rates, rows
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lrstudy import try_training
from lrstudy.engine.function import Trial
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord

pytest.importorskip("lightning", reason="needs pip install 'lrstudy[lightning]'")
with warnings.catch_warnings(action="ignore"):  # of what it imports
    import lightning.pytorch as pl

    from lrstudy.integrations.lightning import TrialCallback

pytestmark = pytest.mark.filterwarnings("ignore")

METRICS = {"val_loss": "min"}


class Module(pl.LightningModule):
    """A linear classifier; ``schedulers`` are what configure_optimizers adds."""

    def __init__(self, lr: float, *, schedulers: bool = False, log_as: str = "val_loss") -> None:
        super().__init__()
        self.lr, self.schedulers, self.log_as = lr, schedulers, log_as
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        self.rates: list[float] = []

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        if self.schedulers:
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]
        return optimizer

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        loss = cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log(self.log_as, cross_entropy(self(batch[0]), batch[1]))


def data() -> TensorDataset:
    return TensorDataset(*rows())


def training(seen: list[Module], **options: Any) -> Callable[[Trial], None]:
    trainer_options = options.pop("trainer", {})
    metrics = options.pop("metrics", None)

    def train(trial: Trial) -> None:
        callback = TrialCallback(trial, metrics=metrics)
        model = Module(trial.lr, **options)  # draws after the trial was restored
        seen.append(model)
        trainer = pl.Trainer(**callback.trainer_arguments(**trainer_options))
        loader = DataLoader(data(), BATCH, shuffle=True)
        trainer.fit(model, loader, DataLoader(data(), ROWS), ckpt_path=callback.ckpt_path)

    return train


def tried(schedule: Any = "cosine", **options: Any) -> tuple[list[EvaluationRecord], Module]:
    seen: list[Module] = []
    lengths = {name: options.pop(name) for name in ("steps", "epochs", "evaluate_every") if name in options}
    records = try_training(training(seen, **options), schedule, metrics=METRICS, show=False, **lengths)
    return records, seen[0]


def test_the_rate_of_every_step_is_the_schedule_s() -> None:
    records, model = tried({"kind": "cosine", "lr": 0.2}, steps=30, evaluate_every=10)
    assert model.rates == pytest.approx(cosine_rates(0.2, 30), rel=1e-4)
    assert [row.step for row in records] == [10, 20, 30]
    assert all(row.train_loss is not None and row.val_loss is not None for row in records)


def test_the_last_step_is_evaluated_wherever_the_last_evaluation_was() -> None:
    records, model = tried(steps=25, evaluate_every=10)
    assert [row.step for row in records] == [10, 20, 25]
    assert len(model.rates) == 25


def test_epochs_are_counted_in_passes_over_the_loader() -> None:
    records, _ = tried(epochs=3)
    assert [(row.step, row.epoch) for row in records] == [(12, 1.0), (24, 2.0), (36, 3.0)]


def test_accumulated_batches_make_one_step() -> None:
    records, model = tried(steps=12, evaluate_every=4, trainer={"accumulate_grad_batches": 3})
    assert [row.step for row in records] == [4, 8, 12]
    assert len(model.rates) == 36


@pytest.mark.parametrize("schedule", ["lipschitz", "prodigy"])
def test_a_rule_that_measures_and_one_that_brings_an_optimizer_set_their_rates(schedule: str) -> None:
    pytest.importorskip("prodigyopt")
    records, _ = tried(schedule, steps=24, evaluate_every=12)
    assert records[0].lr != records[1].lr


def test_a_metric_may_be_logged_under_another_name() -> None:
    records, _ = tried(steps=12, evaluate_every=6, log_as="val/loss", metrics={"val_loss": "val/loss"})
    assert all(row.val_loss is not None for row in records)


def test_a_declared_metric_that_is_not_logged_is_refused() -> None:
    with pytest.raises(ContractError, match=r"trial\.report lacks val_loss"):
        tried(steps=12, evaluate_every=6, log_as="other")


def test_a_module_with_a_scheduler_of_its_own_is_refused() -> None:
    with pytest.raises(ContractError, match="1 optimizers and 1 schedulers"):
        tried(steps=12, schedulers=True)


def test_an_interrupted_trial_continues_bit_by_bit_from_the_end_of_an_epoch() -> None:
    whole, rests, checkpoints = continued(training([]), "val_loss", (1, 2), epochs=4)
    assert len(whole) == 4
    assert checkpoints >= 3
    assert rests == [whole[1:], whole[2:]]
