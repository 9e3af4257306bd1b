"""A trial whose loop is Lightning's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lrstudy import try_training
from lrstudy.engine.function import FunctionGroup, Settings, Trial
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import Outcome

pytest.importorskip("lightning", reason="needs pip install 'lrstudy[lightning]'")
with warnings.catch_warnings(action="ignore"):  # of what it imports
    import lightning.pytorch as pl

    from lrstudy.integrations.lightning import TrialCallback

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, BATCH = 96, 8  # twelve steps of an epoch
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
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(ROWS, 4, generator=generator)
    return TensorDataset(inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long())


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
    rows = try_training(training(seen, **options), schedule, metrics=METRICS, show=False, **lengths)
    return rows, seen[0]


def test_the_rate_of_every_step_is_the_schedule_s() -> None:
    rows, model = tried({"kind": "cosine", "lr": 0.2}, steps=30, evaluate_every=10)
    expected = [0.1 * (1 + torch.tensor(step / 30 * torch.pi).cos().item()) for step in range(30)]
    assert model.rates == pytest.approx(expected, rel=1e-4)
    assert [row.step for row in rows] == [10, 20, 30]
    assert all(row.train_loss is not None and row.val_loss is not None for row in rows)


def test_the_last_step_is_evaluated_wherever_the_last_evaluation_was() -> None:
    rows, model = tried(steps=25, evaluate_every=10)
    assert [row.step for row in rows] == [10, 20, 25]
    assert len(model.rates) == 25


def test_epochs_are_counted_in_passes_over_the_loader() -> None:
    rows, _ = tried(epochs=3)
    assert [(row.step, row.epoch) for row in rows] == [(12, 1.0), (24, 2.0), (36, 3.0)]


def test_accumulated_batches_make_one_step() -> None:
    rows, model = tried(steps=12, evaluate_every=4, trainer={"accumulate_grad_batches": 3})
    assert [row.step for row in rows] == [4, 8, 12]
    assert len(model.rates) == 36


@pytest.mark.parametrize("schedule", ["lipschitz", "prodigy"])
def test_a_rule_that_measures_and_one_that_brings_an_optimizer_set_their_rates(schedule: str) -> None:
    pytest.importorskip("prodigyopt")
    rows, _ = tried(schedule, steps=24, evaluate_every=12)
    assert rows[0].lr != rows[1].lr


def test_a_metric_may_be_logged_under_another_name() -> None:
    rows, _ = tried(steps=12, evaluate_every=6, log_as="val/loss", metrics={"val_loss": "val/loss"})
    assert all(row.val_loss is not None for row in rows)


def test_a_declared_metric_that_is_not_logged_is_refused() -> None:
    with pytest.raises(ContractError, match=r"trial\.report lacks val_loss"):
        tried(steps=12, evaluate_every=6, log_as="other")


def test_a_module_with_a_scheduler_of_its_own_is_refused() -> None:
    with pytest.raises(ContractError, match="1 optimizers and 1 schedulers"):
        tried(steps=12, schedulers=True)


def group() -> FunctionGroup:
    settings = Settings(
        seed=3,
        schedule="cosine",
        kind="cosine",
        schedule_params={"lr": 0.3},
        metric=Metric("val_loss", "val_loss", False, 0.0, float("inf"), None),
        declared=("val_loss",),
        epochs=4,
    )
    return FunctionGroup(training([]), settings, lambda rows, _: Outcome(Status.COMPLETED, len(rows)))


def losses(rows: list[EvaluationRecord]) -> list[tuple[int, float | None, float | None, float]]:
    return [(row.step, row.val_loss, row.train_loss, row.lr) for row in rows]


def run(trial: FunctionGroup, states: list[Any]) -> Iterator[EvaluationRecord]:
    try:
        for pause in trial.run():
            yield from pause.rows.values()
            if (state := trial.state(0)) is not None:
                states.append(state)
    finally:
        trial.close()


def test_an_interrupted_trial_continues_bit_by_bit_from_the_end_of_an_epoch() -> None:
    states: list[Any] = []
    whole = losses(list(run(group(), states)))
    assert len(whole) == 4
    assert len(states) >= 3
    for done in (1, 2):
        resumed = group()
        resumed.load(0, states[done - 1])
        assert losses(list(run(resumed, []))) == whole[done:]
