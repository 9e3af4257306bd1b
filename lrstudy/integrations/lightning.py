"""Lightning: a callback that makes ``trainer.fit`` one trial of a study.

    callback = TrialCallback(trial)
    trainer = Trainer(**callback.trainer_arguments(accelerator="cpu"))
    trainer.fit(model, loader, held_out, ckpt_path=callback.ckpt_path)

The study brings the schedule: ``configure_optimizers`` returns the optimizer alone. What the module logs
under the names of ``[task] metrics`` is reported after every validation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import nn

from lrstudy.engine.function import Trial
from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.random_states import load_random, save_random
from lrstudy.engine.function.reports import refusal
from lrstudy.integrations.checkpoint_files import CheckpointFiles
from lrstudy.integrations.declared_metrics import report_declared

_FILE = "trial.ckpt"


class TrialCallback(pl.Callback):
    """Puts the trial's schedule on the module's optimizer, reports at validation, and saves between epochs.

    ``metrics`` gives the name under which the module logs a metric, where it is not the study's:
    ``{"val_loss": "val/loss"}``. ``model`` (what ``training_step`` calls, if not the module itself) and
    ``loss`` are for a schedule that measures, as in ``Trial.schedule``.
    """

    def __init__(
        self,
        trial: Trial,
        *,
        model: nn.Module | None = None,
        loss: str | nn.Module = "cross-entropy",
        metrics: Mapping[str, str] | None = None,
    ) -> None:
        self._trial, self._model, self._loss, self._metrics = trial, model, loss, dict(metrics or {})
        self._trainer: pl.Trainer | None = None
        self._schedule: TrialSchedule | None = None
        self._total = 0
        self._evaluating = ExitStack()
        self._files = CheckpointFiles(self._save)
        trial.hand_over(self._files)

    def trainer_arguments(self, **others: Any) -> dict[str, Any]:
        """Return arguments of ``Trainer``: the trial's length, its evaluations and this callback.

        ``others`` are added, and take precedence; callbacks are joined.
        """
        settings = self._trial.settings
        chosen: dict[str, Any] = {
            "accelerator": "cpu" if self._trial.device.type == "cpu" else "auto",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        if settings.steps is None:
            chosen["max_epochs"] = settings.epochs
        else:
            chosen["max_steps"] = settings.steps
        if settings.evaluate_every is not None:
            batches = settings.evaluate_every * others.get("accumulate_grad_batches", 1)
            chosen |= {"val_check_interval": batches, "check_val_every_n_epoch": None}
        return chosen | others | {"callbacks": [*others.get("callbacks", []), self]}

    @property
    def ckpt_path(self) -> Path | None:
        """The checkpoint of an interrupted trial, for ``trainer.fit``; None at its start."""
        folder = self._files.path
        return None if folder is None else folder / _FILE

    # -- Lightning's hooks --------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the schedule on the optimizer; a checkpoint's position is loaded after this."""
        if len(trainer.optimizers) != 1 or trainer.lr_scheduler_configs:
            message = (
                f"configure_optimizers returned {len(trainer.optimizers)} optimizers and"
                f" {len(trainer.lr_scheduler_configs)} schedulers"
            )
            raise refusal(message, "Return one optimizer and no scheduler: the study brings the schedule.")
        settings, per_epoch = self._trial.settings, None
        if settings.epochs is not None and settings.steps_per_epoch is None:
            steps = trainer.estimated_stepping_batches
            per_epoch = None if math.isinf(steps) else int(steps) // settings.epochs
        model = pl_module if self._model is None else self._model
        schedule = self._trial.schedule(
            trainer.optimizers[0], model=model, loss=self._loss, steps_per_epoch=per_epoch
        )
        trainer.optimizers = [schedule.optimizer]
        trainer.strategy.lr_scheduler_configs = [LRSchedulerConfig(schedule, interval="step")]
        self._trainer, self._schedule = trainer, schedule
        length = settings.epochs and settings.epochs * (per_epoch or settings.steps_per_epoch or 0)
        self._total = settings.steps or length or 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the time from here."""
        self._trial.begin()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """After the last step, end with a validation, wherever the last one was."""
        if self._schedule is not None and self._schedule.steps >= self._total:
            trainer.should_stop = True

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the time as evaluation."""
        if not trainer.sanity_checking:
            self._evaluating.enter_context(self._trial.evaluating())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report what was logged; the trial may end here."""
        if not trainer.sanity_checking:
            report_declared(self._trial, trainer.callback_metrics, self._metrics)
            self._evaluating.close()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the trial be saved: a loader's order is the same again only from the start of an epoch."""
        self._trial.pause()

    def state_dict(self) -> dict[str, Any]:
        """Return the random states, which Lightning does not save."""
        return save_random()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the random states."""
        load_random(state_dict)

    def _save(self, folder: Path) -> None:
        assert self._trainer is not None
        self._trainer.save_checkpoint(folder / _FILE)
