"""A few steps of a user's training, watched: the rates that its optimizer takes, and where the time goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.trial_settings import Settings


def shortened(settings: Settings, steps: int) -> Settings:
    """Return the settings of a trial of at most so many steps, with two evaluations or more."""
    half, every = max(1, steps // 2), settings.evaluate_every
    every = None if every is None else min(every, half)
    if settings.steps is not None:
        whole = min(steps, settings.steps)
        return replace(settings, steps=whole, evaluate_every=min(every or half, whole))
    assert settings.epochs is not None
    return replace(settings, epochs=min(2, settings.epochs), pass_steps=half, evaluate_every=every)


@dataclass(slots=True)
class RateWatch:
    """The rates of an optimizer: those that its schedule set, and those that its steps took.

    ``first_call`` is the number of optimizer steps before the schedule's first; ``stepped_at`` the time of
    its last.
    """

    clock: Callable[[], float] = time.perf_counter
    schedule: TrialSchedule | None = None
    first_call: int | None = None
    stepped_at: float | None = None
    wrong: tuple[int, float, float] | None = None
    _set: list[float] = field(default_factory=list)

    def watch(self, schedule: TrialSchedule) -> None:
        """Watch the trial's first schedule."""
        if self.schedule is not None:
            return
        self.schedule, self._set = schedule, _rates(schedule)
        schedule.optimizer.register_step_pre_hook(self._before_update)
        schedule.after_step.append(self._after_step)

    @property
    def swapped(self) -> bool:
        """Return True if the schedule's steps precede those of the optimizer."""
        made = self.schedule
        return made is not None and self.first_call == 0 and made.steps > 1 and made.updates == made.steps

    def _before_update(self, *_: Any) -> None:
        assert self.schedule is not None
        taken = _rates(self.schedule)
        if self.wrong is None and taken != self._set:
            place = next(i for i, rate in enumerate(taken) if rate != self._set[i])
            self.wrong = (self.schedule.updates + 1, self._set[place], taken[place])

    def _after_step(self) -> None:
        assert self.schedule is not None
        if self.first_call is None:
            self.first_call = self.schedule.updates
        self._set, self.stepped_at = _rates(self.schedule), self.clock()


def _rates(schedule: TrialSchedule) -> list[float]:
    return [float(group["lr"]) for group in schedule.optimizer.param_groups]
