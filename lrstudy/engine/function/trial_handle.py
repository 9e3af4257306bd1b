"""``lrstudy.Trial``: what a user's training function gets, and speaks through."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lrstudy.engine.function.batches import Batches, rows_of
from lrstudy.engine.function.build import build_trial_schedule, check_optimizer
from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.interval_clock import IntervalClock
from lrstudy.engine.function.kept_objects import Kept, KeptObjects
from lrstudy.engine.function.random_states import State, generators_of, load_random, save_random
from lrstudy.engine.function.reports import diverged, read_report, refusal
from lrstudy.engine.function.rows import Rows
from lrstudy.engine.function.sharding import Shard, on_workers
from lrstudy.engine.function.step_check import StepCheck
from lrstudy.engine.function.trial_caller import Caller, Misfit, TrialEnded
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.group import MISFITS
from lrstudy.records import EvaluationRecord
from lrstudy.safe_text import describe


class Trial:
    """One training, as a user's function sees it.

    ``seed`` is the trial's; the global random states of Python, numpy and torch are set from it before the
    function is called. ``device`` is where to train. ``options`` are ``[task] options`` of the study file.
    ``params`` are searched values that belong to no schedule. ``lr`` is a rate to build the optimizer with:
    the schedule's own if it has one, else ``[task] lr``. ``replicate`` counts the tunings of a schedule from
    1, so that each can have a split of the data by itself. ``rank`` and ``world_size`` count the workers of
    this trial.
    """

    def __init__(
        self,
        settings: Settings,
        caller: Caller,
        state: State | None = None,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._settings, self._caller, self._saved = settings, caller, state
        self.seed: int = settings.seed
        self.replicate: int = settings.replicate
        self.device: torch.device = settings.device
        self.options: dict[str, Any] = dict(settings.options)
        self.params: dict[str, Any] = dict(settings.params)
        rate = next((settings.schedule_params.get(name) for name in ("lr", "max_lr", "initial_lr")), None)
        self.lr: float = float(settings.lr if rate is None else rate)
        self.rank, self.world_size = rank, world_size
        self.step = 0
        """The optimizer step in progress, from 1; 0 before the first."""
        self._kept, self._clock = KeptObjects(), IntervalClock()
        self._rows = Rows(settings)
        self._steps = StepCheck(settings)
        self._batches: Batches | None = None
        self._epoch: int | None = None  # the pass in progress, within ``epochs``
        self._began = self._restored = self._over = False
        self._owner: int | None = None
        self._generators: dict[str, torch.Generator] = {}  # those of the loaders that a schedule got
        self.reason: str | None = None
        """The reason why the trial counts as diverged."""
        self.misfit: Misfit | None = None
        """The reason why the function's objects do not fit the checkpoint."""

    # -- before the training ------------------------------------------------------------------------

    def schedule(
        self,
        optimizer: Optimizer,
        model: nn.Module | None = None,
        *,
        loss: str | nn.Module = "cross-entropy",
        loader: Iterable[Any] | None = None,
        steps_per_epoch: int | None = None,
    ) -> TrialSchedule:
        """Return the trial's schedule on this optimizer; call its ``step()`` after every optimizer step.

        ``model`` and ``loss`` are what a schedule that measures needs: the Lipschitz rule, with the loss's
        name or torch module. ``loader`` gives the number of steps of an epoch, and the batches, as pairs of
        inputs and targets, to a schedule that measures in passes; ``steps_per_epoch`` gives the number alone.
        Raises ``SchedulerError`` or ``ContractError`` for what the schedule cannot work with.
        """
        self._check_over()
        if self._began:
            raise refusal("trial.schedule was called after the training began", "Call it before trial.steps.")
        check_optimizer(optimizer)
        length = self._steps.epoch_length(loader, steps_per_epoch)
        built = build_trial_schedule(self._settings, optimizer, model, loss, loader, length)
        for name, generator in generators_of(loader).items():
            self._generators[f"{len(self._kept.schedules)}.{name}"] = generator
        self._kept.schedules.append(built)
        built.pass_length, built.world_size = self._steps.pass_length, self.world_size
        if self._settings.on_schedule is not None:
            self._settings.on_schedule(built)
        return built

    def keep(self, **objects: Any) -> None:
        """Keep objects in the trial's checkpoints: each needs ``state_dict`` and ``load_state_dict``.

        They are restored when ``steps`` or ``epochs`` begins, with the random states and the data's position.
        A function that keeps nothing starts again from the beginning after an interruption.
        """
        self._check_over()
        if self._began:
            raise refusal("trial.keep was called after the training began", "Call it before trial.steps.")
        self._kept.add(objects)

    def prepare(self, model: nn.Module, *, shard: Shard = False) -> nn.Module:
        """Return the model on the trial's device, for several workers where there are several.

        Each worker has a copy (DDP), with ``shard`` a part of every parameter (FSDP2): True, or the classes
        of modules whose parameters are put together one module at a time.
        """
        model = model.to(self.device)
        return model if self.world_size == 1 else on_workers(model, self.device, shard)

    # -- the training -------------------------------------------------------------------------------

    def steps(self, loader: Iterable[Any], accumulate: int = 1) -> Iterator[Any]:
        """Yield batches to the end of the trial; within ``epochs``, to the end of one pass.

        The loader is iterated again and again. An optimizer step is due after every ``accumulate`` batches,
        and after the last of a pass: see ``updating``. A resumed trial continues in mid-pass.
        """
        batches = self._begin_steps(loader, accumulate)
        while not self._steps.over(self.step, batches.passes):
            for batch in batches.one_pass():
                if self._steps.begin(batches):
                    self.step += 1
                self._rows.count(rows_of(batch), self.world_size)
                yield batch
                if self._steps.updating:
                    self._after_step(batches)
                    if self._steps.cuts_pass(self.step):
                        batches.end_pass()
                        break
                if self._steps.over(self.step, None):
                    return
            self._steps.end_pass(self.step)
            if self._epoch is not None:
                return
            if self._settings.steps is None:  # else a period has ended where its steps did
                self._end_period(ended=self._steps.over(self.step, batches.passes))
            self._pause_if_due()

    def epochs(self) -> Iterator[int]:
        """Yield the numbers of the passes over the data from 0, as many as ``[task] epochs``."""
        if self._settings.epochs is None:
            message = "trial.epochs() needs [task] epochs, and the study gives steps"
            raise refusal(
                message, "Write `for batch in trial.steps(loader)`, or give epochs in the study file."
            )
        self._begin()
        for epoch in range(self._epoch or 0, self._settings.epochs):
            self._epoch = epoch
            yield epoch
            self._epoch = epoch + 1
            self._end_period(ended=self._epoch == self._settings.epochs)
            self._pause_if_due()

    @property
    def updating(self) -> bool:
        """Return True if the batch in progress completes an optimizer step."""
        return self._steps.updating

    @property
    def due(self) -> bool:
        """Return True if an evaluation is due after the step in progress."""
        return self._steps.due(self.step, self._batches)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Count the time of the block as evaluation; a schedule that averages weights has them in place."""
        if self._clock.evaluating:
            raise refusal("trial.evaluating() was entered twice", "Leave the first block before the second.")
        self._clock.switch(evaluating=True)
        for each in self._kept.schedules:
            each.schedule.before_evaluation()
        try:
            yield
            for each in self._kept.schedules:
                each.schedule.before_training()
        finally:
            self._clock.switch(evaluating=False)

    def report(self, **metrics: Any) -> None:
        """Record an evaluation: every metric of ``[task] metrics``, and ``train_loss`` where it is known.

        Values are numbers or tensors of one element. ``samples`` and ``tokens`` are totals since the start
        of the trial; samples are counted from the batches if they are not given. The trial may end here.
        With several workers every rank must call it, and rank 0's values count.
        Raises ``ContractError`` for other names, missing metrics and values that are no numbers.
        """
        self._check_over()
        report = read_report(metrics, self._settings.declared)
        self._began = True
        if not self._kept.schedules:
            raise refusal(
                "trial.schedule was never called", "Call it with the optimizer, before the training."
            )
        first = self._kept.schedules[0]
        if self._batches is None:
            self.step = self._steps.of_own_loop(first)
        report = self._caller.share(report, self.step)
        self._steps.check_report(self.step)
        before = self._rows.last_step
        epoch = self._steps.epoch_at(self.step, self._epoch, self._batches)
        row = self._rows.take(self.step, epoch, report, first, self._clock.seconds())
        where = f"at step {self.step}"
        self.reason = diverged(report.values, self._settings.metric.name, self._settings.divergence, where)
        self._clock.reset()
        own_period = self._steps.own_period_ended(before, self.step)
        if self._batches is None and self._epoch is None and own_period and not self.reason:
            self._end_period(ended=self._steps.own_loop_over(self.step))
        self._pause(row, safe=False)
        if self.reason is not None:
            self._over = True
        self._check_over()

    def log(self, text: str) -> None:
        """Add a line to the run's log, ``run.log``."""
        self._caller.note(str(text))

    # -- a loop that a framework owns ---------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The trial's settings, for frameworks: its length, when to evaluate, and which metrics to report."""
        return self._settings

    def hand_over(self, checkpoint: Kept) -> None:
        """Leave the loop to a framework, and restore a checkpoint.

        ``checkpoint`` saves and restores all that the framework trains: models, optimizers, the schedule, the
        data's position and the random states.
        """
        self._kept.whole = checkpoint
        self._restored = True
        if self._saved is not None:
            self._restore(self._saved)

    def begin(self) -> None:
        """Begin a loop that is not ``steps``: its time counts from here."""
        self._began = True
        self._clock.skip()
        for each in self._kept.schedules:
            each.schedule.before_training()

    def pause(self) -> None:
        """Let the trial be saved here, if it is due: the framework's checkpoint must continue from here."""
        self.step = self._kept.schedules[0].steps
        self._pause_if_due()

    # -- for the caller -----------------------------------------------------------------------------

    def enter(self) -> None:
        """Note that the function is called in this thread."""
        self._owner = threading.get_ident()

    def leave(self) -> None:
        """Note that the function has ended: a thread that it left behind ends at its next call."""
        self._over, self._owner = True, None

    @property
    def place(self) -> int:
        """The step in progress; in a loop that is not ``steps``, the last that was taken."""
        made = self._kept.schedules
        return self.step if self._batches is not None or not made else made[0].steps

    @property
    def trains(self) -> bool:
        """Return True if the training has begun."""
        return self._began

    @property
    def keeps(self) -> bool:
        """Return True if the function keeps its state for checkpoints, and restores it."""
        return self._kept.any and (self._restored or not self._began)

    @property
    def keeps_in_vain(self) -> bool:
        """Return True if the function keeps its state, and never restores it."""
        return self._kept.any and not self.keeps

    def state(self) -> State | None:
        """Return the trial's checkpoint at a safe pause; None if the function keeps nothing."""
        if not self._kept.any:
            return None
        return {
            "kept": self._kept.state_dict(),
            "batches": None if self._batches is None else self._batches.state_dict(),
            "random": save_random(self._generators),
            "step": self.step,
            "epoch": self._epoch,
            "seconds": list(self._clock.seconds()),
            "rows": self._rows.state_dict(),
            "checks": self._steps.state_dict(),
        }

    def check_end(self) -> None:
        """Raise ``ContractError`` if the function returned before its trial was complete."""
        self._steps.check_end(self.step, self._epoch, self._batches, self._rows)

    def close(self) -> None:
        """Remove what the schedules attached to the model and the optimizer."""
        for each in self._kept.schedules:
            each.close()

    # -- inside -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Check that a schedule was made, and restore a checkpoint, once."""
        self._check_over()
        if not self._kept.schedules:
            raise refusal(
                "trial.schedule was never called", "Call it with the optimizer, before the training."
            )
        if self._began:
            return
        self._kept.check_states()
        self._began = self._restored = True
        saved = self._saved
        if saved is not None:
            self._restore(saved)
        else:
            self._clock.reset()
        for each in self._kept.schedules:
            each.schedule.before_training()

    def _restore(self, saved: State) -> None:
        try:
            self._kept.load_state_dict(saved["kept"])
        except MISFITS as error:
            self.misfit = Misfit(describe(error))
            raise self.misfit from error
        self.step, self._epoch = saved["step"], saved["epoch"]
        self._rows.load_state_dict(saved["rows"])
        self._steps.load_state_dict(saved["checks"])
        load_random(saved["random"], self._generators)
        self._clock.reset(*saved["seconds"])

    def _begin_steps(self, loader: Iterable[Any], accumulate: int) -> Batches:
        first = not self._began or self._batches is None
        self._begin()
        if self._batches is None or self._batches.loader is not loader:
            passes = 0 if self._batches is None else self._batches.passes
            saved = self._saved["batches"] if first and self._saved is not None else None
            self._batches = Batches(loader, saved)
            self._batches.passes = passes if saved is None else saved["passes"]
        self._steps.begin_loop(self._batches, accumulate, self._kept.schedules[0])
        return self._batches

    def _after_step(self, batches: Batches) -> None:
        """Check the step that the function has taken, and pause where that is due."""
        self._check_over()
        self._steps.check_step(self.step, self._rows)
        if self._settings.epochs is None and self._steps.period_ended(self.step):
            self._end_period(ended=self._steps.over(self.step, None))
        if (self._rows.waiting or self._caller.due()) and batches.has_more():
            self._pause(None, safe=True)

    def _end_period(self, *, ended: bool) -> None:
        if not ended:
            for each in self._kept.schedules:
                each.schedule.after_epoch(self._rows.latest)

    def _pause_if_due(self) -> None:
        """Pause between two passes, unless the gradients of an unfinished step would be lost."""
        in_step = self._batches is not None and not self._steps.updating
        if not in_step and (self._rows.waiting or self._caller.due()):
            self._pause(None, safe=True)

    def _pause(self, row: EvaluationRecord | None, *, safe: bool) -> None:
        self._clock.seconds()  # up to here
        self._rows.waiting = row is not None
        self._over = not self._caller.pause(row, safe=safe)
        self._clock.skip()
        self._check_over()

    def _check_over(self) -> None:
        if self._over:
            raise TrialEnded
        if self._owner is not None and self._owner != threading.get_ident():
            message = "the trial was used in another thread than the function's"
            raise refusal(message, "Call its methods, and step its schedule, in the function itself.")
