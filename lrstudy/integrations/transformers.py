"""Transformers: a callback that makes ``trainer.train`` one trial of a study.

    schedule = trial.schedule(optimizer, model=model)
    callback = TrialCallback(trial)
    arguments = TrainingArguments(**callback.training_arguments(per_device_train_batch_size=32))
    trainer = Trainer(model, arguments, optimizers=(schedule.optimizer, schedule), callbacks=[callback], …)
    trainer.train(resume_from_checkpoint=callback.checkpoint)

What ``evaluate`` returns under the names of ``[task] metrics`` (``eval_loss``) is reported after it.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lrstudy.engine.function import Trial
from lrstudy.integrations.checkpoint_files import CheckpointFiles
from lrstudy.integrations.declared_metrics import report_declared


class TrialCallback(TrainerCallback):
    """Reports every evaluation of a ``Trainer``, and lets the trial be saved wherever the trainer saves.

    ``metrics`` gives the name that ``evaluate`` uses for a metric, where it is not the study's:
    ``{"val_loss": "eval_loss"}``. ``train_loss`` is the mean since the last
    evaluation, where the trainer logged it.
    """

    def __init__(self, trial: Trial, *, metrics: Mapping[str, str] | None = None) -> None:
        self._trial, self._metrics = trial, dict(metrics or {})
        self._evaluating: ExitStack | None = None
        self._saved: Path | None = None
        self._files = CheckpointFiles(self._save)
        trial.hand_over(self._files)

    def training_arguments(self, **others: Any) -> dict[str, Any]:
        """Return arguments of ``TrainingArguments``: the trial's length, seed and evaluations.

        The trainer logs and saves at every evaluation, and keeps the last checkpoint alone, in a temporary
        folder. ``others`` are added, and take precedence.
        """
        settings = self._trial.settings
        chosen: dict[str, Any] = {
            "seed": self._trial.seed % 2**32,
            "use_cpu": self._trial.device.type == "cpu",
            "report_to": "none",
            "disable_tqdm": True,
            "save_total_limit": 1,
        }
        if settings.steps is None:
            chosen["num_train_epochs"] = settings.epochs
        else:
            chosen["max_steps"] = settings.steps
        every = settings.evaluate_every or (settings.steps if settings.epochs is None else None)
        for name, steps in (("eval", "eval_steps"), ("save", "save_steps"), ("logging", "logging_steps")):
            chosen |= (
                {f"{name}_strategy": "epoch"}
                if every is None
                else {f"{name}_strategy": "steps", steps: every}
            )
        if "output_dir" not in others:
            chosen["output_dir"] = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, chosen["output_dir"], ignore_errors=True)
        return chosen | others

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint of an interrupted trial, for ``trainer.train``; None at its start."""
        return None if self._files.path is None else str(self._files.path)

    # -- the trainer's events -----------------------------------------------------------------------

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Count the time from here."""
        self._trial.begin()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count the time as evaluation, if one follows."""
        if control.should_evaluate and self._evaluating is None:
            self._evaluating = ExitStack()
            self._evaluating.enter_context(self._trial.evaluating())

    on_epoch_end = on_step_end

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Report what was measured; the trial may end here."""
        if self._evaluating is None:  # not during the training
            return
        here = [
            entry for entry in state.log_history if "loss" in entry and entry["step"] == state.global_step
        ]
        measured = {"train_loss": here[-1]["loss"]} if here else {}
        report_declared(self._trial, measured | dict(metrics or {}), self._metrics)
        self._evaluating.close()
        self._evaluating = None

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Let the trial be saved with the trainer's checkpoint."""
        self._saved = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.global_step < state.max_steps:
            self._trial.pause()

    def _save(self, folder: Path) -> None:
        assert self._saved is not None
        shutil.copytree(self._saved, folder, dirs_exist_ok=True)
