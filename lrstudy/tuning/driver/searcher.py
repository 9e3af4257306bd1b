"""The controller in the shape that Tune asks questions in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from lrstudy.compat.ray import TuneController, expect_worker_losses
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.retries import Job, Retries
from lrstudy.tuning.stop_request import StopRequest


class StudySearcher(Searcher):
    """Gives Tune the next trial of any schedule and phase.

    Results do not come back through here: the recorder writes them to the store first and then tells the
    controller, so that nothing is believed done that is not on disk.
    """

    def __init__(
        self, controller: Controller, retries: Retries, stop: StopRequest, max_concurrent: int
    ) -> None:
        super().__init__()
        self._controller, self._retries, self._stop = controller, retries, stop
        self._max_concurrent = max_concurrent

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles what it is given, to restore it; nothing is ever restored from there.
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial's config; None to be asked again later; ``FINISHED`` when there is no more."""
        if self._controller.done or self._stop.asked:
            # Ray's own signature leaves out the word that its documentation asks for here.
            return cast("dict[str, Any]", Searcher.FINISHED)
        if (again := self._retries.next()) is not None:
            # It counts as in flight already.
            return again.to_config()
        if 0 < self._max_concurrent <= self._controller.in_flight:
            return None
        config = self._controller.next()
        return None if config is None else self._retries.handed(Job(config)).to_config()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to do: the recorder has told the controller."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: a resume rebuilds the controller from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class OldestFirst(FIFOScheduler):
    """Tune's own order, found among the trials that are not over.

    Tune looks through all that there have been, several times for each trial: that made a trial dearer the
    more had gone before. ``on_lost`` hears of those that Tune gave up without a word to anybody: it does so
    where a worker does not get ready for its next trial.
    """

    def __init__(self, on_lost: Callable[[Trial], None]) -> None:
        start: Callable[[], None] = super().__init__  # Ray leaves it without types
        start()
        self._there: dict[str, Trial] = {}
        self._on_lost = on_lost
        self._expecting = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles what it is given, to restore it; nothing is ever restored from there.
        return FIFOScheduler, ()

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """A trial that is to run."""
        self._there[trial.trial_id] = trial
        if not self._expecting:
            self._expecting = True
            expect_worker_losses(tune_controller)

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """A trial is over."""
        self._there.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """A trial is over."""
        self._there.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        """A trial was taken back before it ran."""
        self._there.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """The oldest that waits; one that was paused only if no other waits."""
        for trial in [trial for trial in self._there.values() if trial.status == Trial.ERROR]:
            del self._there[trial.trial_id]
            self._on_lost(trial)
        for status in (Trial.PENDING, Trial.PAUSED):
            for trial in self._there.values():
                if trial.status == status:
                    return trial
        return None
