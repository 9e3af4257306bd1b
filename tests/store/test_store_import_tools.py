"""Logs that Lightning, the Trainer and Keras write here and now become the runs that they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from import_samples import store_of, values
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lrstudy.store import ImportedStudy, ImportOptions, import_histories

STEPS = 4  # of an epoch
pytestmark = pytest.mark.filterwarnings("ignore")


def imported(file: Path, out: Path, **options: Any) -> ImportedStudy:
    (made,) = import_histories([file], out, ImportOptions(**options))
    return made


def test_lightnings_logger_with_two_validations_an_epoch(tmp_path: Path) -> None:
    pl = pytest.importorskip("lightning.pytorch")
    measured: list[float] = []

    class Module(pl.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.layer(batch[0]).square().mean()
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self.layer(batch[0]).square().mean())

        def on_validation_epoch_end(self) -> None:
            measured.append(float(self.trainer.callback_metrics["val_loss"]))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = TensorDataset(torch.randn(2 * STEPS, 2, generator=torch.Generator().manual_seed(0)))
    trainer = pl.Trainer(
        max_epochs=2,
        val_check_interval=0.5,
        logger=pl.loggers.CSVLogger(tmp_path, name="cosine"),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    module = Module()
    trainer.fit(module, DataLoader(data, 2), DataLoader(data, 2))
    trainer.validate(module, DataLoader(data, 2), verbose=False)
    file = tmp_path / "cosine" / "version_0" / "metrics.csv"
    made = imported(file, tmp_path / "out", schedule_from=["path:3"])
    assert [schedule.name for schedule in made.study.schedules] == ["cosine"]
    assert values(made, "epoch", "step") == [(0.5, 2), (1.0, 4), (1.5, 6), (2.0, 8)]
    assert [loss for (loss,) in values(made, "val_loss")] == pytest.approx(measured[:4], rel=1e-6)
    assert [loss is None for (loss,) in values(made, "train_loss")] == [True, False, True, False]
    assert any("after the training is left out" in note for note in made.notes)
    assert (made.study.target_clock, made.study.length) == ("epochs", 2)


class Rows(Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return 2 * STEPS

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([at / 8, 1.0]), "labels": torch.tensor([at / 4])}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        output = self.layer(x)
        return {"loss": (output - labels).square().mean(), "logits": output}


def test_the_trainers_state(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "run"),
        per_device_train_batch_size=2,
        max_steps=6,
        eval_strategy="steps",
        eval_steps=2,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = transformers.Trainer(
        model=Model(),
        args=arguments,
        train_dataset=Rows(),
        eval_dataset=Rows(),
        compute_metrics=lambda prediction: {"mae": float(abs(prediction[0] - prediction[1]).mean())},
    )
    trainer.train()
    trainer.save_state()
    file = tmp_path / "run" / "trainer_state.json"
    made = imported(file, tmp_path / "out", schedule_from=["path:2"], metric="eval_mae")
    log = json.loads(file.read_text())["log_history"]
    evaluated = [row for row in log if "eval_loss" in row]
    assert values(made, "epoch", "step", "val_loss", "eval_mae") == [
        (row["epoch"], row["step"], row["eval_loss"], row["eval_mae"]) for row in evaluated
    ]
    assert [(row["epoch"], row["step"]) for row in evaluated] == [(0.5, 2), (1.0, 4), (1.5, 6)]
    losses = [row["loss"] for row in log if "loss" in row]
    means = [(a + b) / 2 for a, b in zip(losses[::2], losses[1::2], strict=True)]
    assert [loss for (loss,) in values(made, "train_loss")] == pytest.approx(means)
    assert (made.study.metric.higher_is_better, made.study.target_clock) == (False, "steps")
    assert store_of(made).trial_records()[0].schedule == "run"


def test_keras_history_and_its_logger_are_the_same_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    x = torch.arange(16.0).reshape(8, 2)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(1e-4), loss="mse", metrics=["mae"])
    logger = keras.callbacks.CSVLogger(str(tmp_path / "fixed.csv"))
    history = model.fit(
        x, x.sum(1), validation_data=(x, x.sum(1)), epochs=3, batch_size=4, callbacks=[logger], verbose=0
    )
    (tmp_path / "cosine.json").write_text(json.dumps(history.history))
    files = [tmp_path / "fixed.csv", tmp_path / "cosine.json"]
    (made,) = import_histories(files, tmp_path / "out", ImportOptions(metric="val_mae:min", name="x"))
    rows = list(
        zip(range(1, 4), *(history.history[name] for name in ("loss", "val_loss", "val_mae")), strict=True)
    )
    assert values(made, "epoch", "train_loss", "val_loss", "val_mae") == rows * 2
    assert made.study.target_clock == "epochs"
