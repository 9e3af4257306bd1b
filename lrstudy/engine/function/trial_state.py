"""The state of one trial of a user's function, for the side that runs the function."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import torch

from lrstudy.engine.function.batches import Batches
from lrstudy.engine.function.interval_clock import IntervalClock
from lrstudy.engine.function.kept_objects import KeptObjects
from lrstudy.engine.function.random_states import State, load_random, save_random
from lrstudy.engine.function.reports import refusal
from lrstudy.engine.function.rows import Rows
from lrstudy.engine.function.step_check import StepCheck
from lrstudy.engine.function.trial_caller import Caller, Misfit, TrialEnded
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.group import MISFITS
from lrstudy.records import EvaluationRecord
from lrstudy.safe_text import describe


class TrialState:
    """A trial without what the user's function calls: its beginning, its pauses and its checkpoint."""

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
