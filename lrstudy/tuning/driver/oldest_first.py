"""The order in which Tune starts the trials that it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from lrstudy.compat.ray import TuneController, expect_worker_losses


class OldestFirst(FIFOScheduler):
    """Tune's first-in-first-out order among the trials that have not ended.

    Tune's own scheduler looks through all trials that there have been, several times for each new one: the
    cost of a trial grew with their number. ``on_lost`` gets the trials that Tune gives up without telling
    its callbacks: it does so where a worker does not get ready for its next trial.
    """

    def __init__(self, on_lost: Callable[[Trial], None]) -> None:
        start: Callable[[], None] = super().__init__  # Ray gives it no types
        start()
        self._live: dict[str, Trial] = {}
        self._on_lost = on_lost
        self._expecting = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles what it is given, to restore it; nothing is ever restored from there.
        return FIFOScheduler, ()

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Add a trial that is to run."""
        self._live[trial.trial_id] = trial
        if not self._expecting:
            self._expecting = True
            expect_worker_losses(tune_controller)

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Remove a trial that has ended."""
        self._live.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Remove a trial that has ended."""
        self._live.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        """Remove a trial that was taken back before it ran."""
        self._live.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the oldest trial that waits; one that was paused only if no other waits."""
        for trial in [trial for trial in self._live.values() if trial.status == Trial.ERROR]:
            del self._live[trial.trial_id]
            self._on_lost(trial)
        for status in (Trial.PENDING, Trial.PAUSED):
            for trial in self._live.values():
                if trial.status == status:
                    return trial
        return None
