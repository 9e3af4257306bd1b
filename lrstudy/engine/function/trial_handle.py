"""``lrstudy.Trial``: what a user's training function gets, and speaks through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lrstudy.engine.function.batches import rows_of
from lrstudy.engine.function.build import build_trial_schedule, check_optimizer
from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.kept_objects import Kept
from lrstudy.engine.function.random_states import generators_of
from lrstudy.engine.function.reports import diverged, read_report, refusal
from lrstudy.engine.function.sharding import Shard, on_workers
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.function.trial_state import TrialState


class Trial(TrialState):
    """One training, as a user's function sees it.

    ``seed`` is the trial's; the global random states of Python, numpy and torch are set from it before the
    function is called. ``device`` is where to train. ``options`` are ``[task] options`` of the study file.
    ``params`` are searched values that belong to no schedule. ``lr`` is a rate to build the optimizer with:
    the schedule's own if it has one, else ``[task] lr``. ``replicate`` counts the tunings of a schedule from
    1, so that each can split the data in another way. ``rank`` and ``world_size`` count the workers of
    this trial.
    """

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
