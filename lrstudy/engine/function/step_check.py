"""The steps of a user's training: when one ends, when an evaluation is due, and the checks of both.

An optimizer step is one call of the schedule's ``step``. A loop over ``trial.steps`` is held to that after
every step, a loop of the user's own at every report: what is stepped per epoch, twice or never would train
at other rates than the study says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lrstudy.engine.function.batches import Batches, length_of
from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.reports import refusal
from lrstudy.engine.function.rows import Rows
from lrstudy.engine.function.trial_settings import Settings

# More steps of the schedule than of its optimizer are accepted up to here.
_SKIPPED_SHARE: Final = 1.5
_SKIPPED_FIRST: Final = 10


class StepCheck:
    """The length of a trial and of its epochs in steps; ``per_epoch`` is None where it is unknown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.per_epoch: int | None = settings.steps_per_epoch
        self.pass_length = self.per_epoch  # of a whole pass, also where passes are cut
        self.updating = False
        self._accumulate = 1
        self._micro = 0  # batches of the current group
        self._schedule: TrialSchedule | None = None
        self._pass_began = 0

    @property
    def total(self) -> int | None:
        """The steps of the whole trial; None where the length of an epoch is unknown."""
        if self._settings.steps is not None:
            return self._settings.steps
        assert self._settings.epochs is not None
        return None if self.per_epoch is None else self._settings.epochs * self.per_epoch

    def epoch_length(self, loader: Iterable[Any] | None, given: int | None) -> int | None:
        """Note and return the steps of an epoch: given, of the study file, or the loader's length."""
        if given is not None and given < 1:
            raise refusal(
                "trial.schedule: steps_per_epoch must be at least 1", "Count optimizer steps.", given
            )
        known = given or self._settings.steps_per_epoch
        if known is None and loader is not None:
            known = length_of(loader)
        if known is not None:
            most = self._settings.pass_steps
            self.pass_length = known
            self.per_epoch = known if most is None else min(known, most)
        elif self._settings.epochs is not None and self.per_epoch is None:
            message = "trial.schedule does not know how many steps an epoch has"
            remedy = "Pass loader=… (one with a length), steps_per_epoch=…, or set [task] steps_per_epoch."
            raise refusal(message, remedy)
        return self.per_epoch

    def begin_loop(self, batches: Batches, accumulate: int, schedule: TrialSchedule) -> None:
        """Note the loop that begins."""
        if accumulate < 1:
            raise refusal("trial.steps: accumulate must be at least 1", "Count micro-batches.", accumulate)
        self._accumulate, self._schedule = accumulate, schedule

    def begin(self, batches: Batches) -> bool:
        """Note a batch; return True if it is the first of its step."""
        first = self._micro == 0
        self._micro += 1
        self.updating = self._micro == self._accumulate or batches.seen == batches.length
        if self.updating:
            self._micro = 0
        return first

    def check_step(self, step: int, rows: Rows) -> None:
        """Raise ``ContractError`` if the schedule was not stepped once, or a due report is missing."""
        assert self._schedule is not None
        called = self._schedule.steps - (step - 1)
        if called != 1:
            times = {0: "not called", 2: "called twice"}.get(called, f"called {called} times")
            message = f"schedule.step() was {times} in step {step}"
            remedy = "Call it once after every optimizer.step(), not once per epoch."
            if called == 0 and self._schedule.updates < step and self._accumulate == 1:
                remedy += " With gradient accumulation, write trial.steps(loader, accumulate=N)."
            if called > 1 and self._accumulate > 1:
                remedy = "With accumulation, step the optimizer and the schedule under `if trial.updating:`."
            raise refusal(message, remedy)
        self._check_updates(self._schedule)
        if self._due(step) and rows.last_step != step:
            every = self._settings.evaluate_every
            message = f"no trial.report at step {step}, where one is due (evaluate_every = {every})"
            remedy = "Write `if trial.due:` in the loop, with an evaluation and trial.report below it."
            raise refusal(message, remedy)

    def _check_updates(self, schedule: TrialSchedule) -> None:
        """Raise ``ContractError`` if the optimizer takes fewer steps than the schedule."""
        # A gradient scaler skips updates, most of them at first; the schedule moves all the same.
        if schedule.steps > _SKIPPED_SHARE * schedule.updates + _SKIPPED_FIRST:
            taken = f"{schedule.steps} steps of the schedule and {schedule.updates} of its optimizer"
            message = f"optimizer.step() is not called once in every step: {taken} so far"
            remedy = "Step the optimizer that trial.schedule got (schedule.optimizer) before the schedule."
            raise refusal(message, remedy)

    def check_report(self, step: int) -> None:
        """Raise ``ContractError`` for a report where the study file has none due."""
        every = self._settings.evaluate_every
        if every is None or self._due(step):
            return
        message = f"trial.report at step {step}, where none is due (evaluate_every = {every})"
        remedy = "Report under `if trial.due:`, or leave evaluate_every out: all schedules need equal grids."
        raise refusal(message, remedy)

    def due(self, step: int, batches: Batches | None) -> bool:
        """Return True if an evaluation is due after this step."""
        if not self.updating:
            return False
        if self._settings.evaluate_every is not None:
            return self._due(step)
        if self._settings.steps is not None and step == self._settings.steps:
            return True
        if self._settings.epochs is None or batches is None:
            return False
        if batches.length is None or self._settings.pass_steps is not None:
            return step - self._pass_began == self.per_epoch
        return batches.seen == batches.length

    def cuts_pass(self, step: int) -> bool:
        """Return True if the pass ends here although the loader may have more batches."""
        return self._settings.pass_steps is not None and step - self._pass_began >= self._settings.pass_steps

    def _due(self, step: int) -> bool:
        every = self._settings.evaluate_every
        return every is not None and (step % every == 0 or step == self.total)

    def over(self, step: int, passes: int | None) -> bool:
        """Return True if the trial has its full length."""
        if self._settings.steps is not None:
            return step >= self._settings.steps and self._micro == 0
        assert self._settings.epochs is not None
        return passes is not None and passes >= self._settings.epochs

    def own_loop_over(self, step: int) -> bool:
        """Return True if a loop that is not ``trial.steps`` has trained the whole trial."""
        return self.total is not None and step >= self.total

    def own_period_ended(self, before: int, step: int) -> bool:
        """Return True if an epoch ended between two reports of a loop that is not ``trial.steps``."""
        return self.per_epoch is None or step // self.per_epoch > before // self.per_epoch

    def period_ended(self, step: int) -> bool:
        """Return True if a schedule that moves by epochs moves after this step, in a trial given in steps.

        Where an epoch has no known length, it moves after every evaluation that is due.
        """
        period = self.per_epoch or self._settings.evaluate_every
        return period is not None and step % period == 0

    def end_pass(self, step: int) -> None:
        """Check that a pass had as many steps as the schedule was told, in a trial given in epochs."""
        taken, self._pass_began = step - self._pass_began, step
        if self._settings.epochs is not None and taken != self.per_epoch:
            message = f"the pass had {taken} optimizer steps, and the schedule was made for {self.per_epoch}"
            remedy = "Give trial.schedule the number of optimizer steps of a pass: steps_per_epoch=…."
            raise refusal(message, remedy)

    def of_own_loop(self, schedule: TrialSchedule) -> int:
        """Return the step of a report from a loop that is not ``trial.steps``; check the schedule's steps."""
        called, updates = schedule.steps, schedule.updates
        if called < updates or called == 0:
            message = f"schedule.step() was called {called} times in {updates} optimizer steps"
            raise refusal(message, "Call it once after every optimizer.step(), not once per epoch.")
        self._check_updates(schedule)
        return called

    def check_end(self, step: int, epoch: int | None, batches: Batches | None, rows: Rows) -> None:
        """Raise ``ContractError`` if the function returned before the trial was complete."""
        if not rows.count_of_evaluations:
            message = "the function returned without a trial.report"
            raise refusal(message, "Report the declared metrics after each evaluation.")
        if batches is None and epoch is None:
            self._check_last_report(rows.last_step)
            return
        passes = epoch if epoch is not None else None if batches is None else batches.passes
        if self.over(step, passes):
            return
        done, whole = (step, f"{self._settings.steps} steps")
        if self._settings.epochs is not None:
            done, whole = passes or 0, f"{self._settings.epochs} epochs"
        message = f"the function returned after {done} of {whole}"
        remedy = "Train to the end of trial.steps or trial.epochs: every trial gets the same length."
        raise refusal(message, remedy)

    def _check_last_report(self, step: int) -> None:
        if not self.own_loop_over(step):
            message = f"the last trial.report is at step {step} of {self.total}"
            remedy = "Train every trial to its whole length, and report after the last step too."
            raise refusal(message, remedy)

    def epoch_at(self, step: int, epoch: int | None, batches: Batches | None) -> float | None:
        """Return the passes over the data at a report; None where the length of a pass is unknown."""
        if epoch is not None and batches is None:
            return float(epoch + 1)
        if self.per_epoch is not None:
            return step / self.per_epoch
        if batches is not None and batches.length is not None:
            return batches.passes + batches.seen / batches.length
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the position within a pass."""
        return {"pass_began": self._pass_began, "per_epoch": self.per_epoch, "micro": self._micro}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved position."""
        self._pass_began, self._micro = state["pass_began"], state["micro"]


def whole_epochs(steps: int, per_epoch: int) -> int:
    """Return the number of epochs that hold so many steps, the last perhaps in part."""
    return math.ceil(steps / per_epoch)
