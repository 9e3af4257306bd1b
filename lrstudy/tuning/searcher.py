"""The controller in the shape that Tune asks questions in."""

from __future__ import annotations

from typing import Any, cast

from ray.tune.search import Searcher

from lrstudy.tuning.controller import Controller
from lrstudy.tuning.faults import Job, Retries
from lrstudy.tuning.stopping import StopRequest


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
        return None if config is None else Job(config).to_config()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to do: the recorder has told the controller."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: a resume rebuilds the controller from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
