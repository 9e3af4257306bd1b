"""The order in which Tune starts its trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from lrstudy.compat.tune import TuneController, expect_worker_losses, keep_requests
from lrstudy.tuning.driver.whole_machine import WholeMachine


class OldestFirst(FIFOScheduler):
    """Tune's first-in-first-out order among the trials that have not ended.

    Tune's own scheduler loops over all trials since the start, several times for each new one: the cost of a
    trial grows with their number. ``on_lost`` gets the trials that Tune gives up without a call of its
    callbacks, which happens if a worker does not get ready for its next trial. ``machine`` sees at each step
    which trials wait.
    """

    def __init__(self, on_lost: Callable[[Trial], None], machine: WholeMachine) -> None:
        start: Callable[[], None] = super().__init__  # Ray does not annotate it
        start()
        self._live: dict[str, Trial] = {}
        self._on_lost, self._machine = on_lost, machine
        self._expecting = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its arguments to restore them later; lrstudy never restores from there.
        return FIFOScheduler, ()

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Add a trial that is to run."""
        self._live[trial.trial_id] = trial
        if not self._expecting:
            self._expecting = True
            expect_worker_losses(tune_controller)
            keep_requests(tune_controller)

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Remove a trial that has ended."""
        self._live.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Remove a trial that has ended."""
        self._live.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        """Remove a trial that was withdrawn before it ran."""
        self._live.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the oldest pending trial; a paused one only if none is pending."""
        for trial in [trial for trial in self._live.values() if trial.status == Trial.ERROR]:
            del self._live[trial.trial_id]
            self._on_lost(trial)
        self._machine.watch(self._live.values())
        for status in (Trial.PENDING, Trial.PAUSED):
            for trial in self._live.values():
                if trial.status == status:
                    return trial
        return None
