"""The export of epochs to TensorBoard, MLflow and Weights & Biases, through Ray Tune's callbacks.

They get every epoch when it arrives, from a separate thread so that no trial waits for them, and are never
read back. One that raises is disabled with one warning; the study continues.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from lrstudy.engine.trial import TrialConfig
from lrstudy.errors import Problem
from lrstudy.records import EvaluationRecord
from lrstudy.spec import Study
from lrstudy.store import Location

_log = logging.getLogger(__name__)
_FOLDER = "tracking"


@dataclass(frozen=True, slots=True)
class _Trial:
    """The attributes of a Tune trial that those callbacks read; equal for equal ids."""

    trial_id: str
    experiment_dir_name: str
    local_path: str = field(compare=False)
    config: dict[str, Any] = field(compare=False)

    @property
    def evaluated_params(self) -> dict[str, Any]:
        return self.config

    def init_local_path(self) -> None:
        """Do nothing: a callback that writes to the folder creates it."""

    def __str__(self) -> str:
        return self.trial_id


def check_tracking(study: Study, store: Location) -> Iterator[Problem]:
    """Yield the problems of ``[logging]``: a missing extra, a secret, a store that is not a local folder."""
    section = study.logging
    wanted = {"tensorboard": ("tensorboardX", section.tensorboard)}
    wanted |= {"mlflow": ("mlflow", bool(section.mlflow)), "wandb": ("wandb", bool(section.wandb))}
    for name, (module, on) in wanted.items():
        if on and importlib.util.find_spec(module) is None:
            remedy = f"Install it: pip install 'lrstudy[{name}]'"
            yield Problem("study", f"logging.{name}", f"{module} is not installed", remedy)
    if urlsplit(section.mlflow).password:
        remedy = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: the store keeps this file."
        yield Problem("study", "logging.mlflow", "holds a password", remedy)
    if store.local is None and (section.tensorboard or section.wandb):
        remedy = "Use logging.mlflow with a server, or an --out on this machine."
        yield Problem(str(store), "logging", "TensorBoard and W&B write to folders of this machine", remedy)


class Tracking:
    """The trackers that the study's ``[logging]`` sets; without any, the methods do nothing."""

    def __init__(self, study: Study, store: Location) -> None:
        self._study, self._store = study.name, store
        self._trackers = [tracker() for tracker in _trackers(study)]
        self._seen: dict[str, int] = {}
        self._steps: SimpleQueue[Callable[[Any], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        if self._trackers:
            self._steps.put(lambda tracker: tracker.setup())
            self._thread = Thread(target=self._work, name="lrstudy-tracking", daemon=True)
            self._thread.start()

    def add(self, config: TrialConfig, rows: Sequence[EvaluationRecord]) -> None:
        """Pass on the new evaluations: a trial that starts again sends earlier ones again."""
        new = [row for row in rows if row.evaluation > self._seen.get(config.trial_id, 0)]
        if not new or self._thread is None:
            return
        trial = self._trial(config)
        if config.trial_id not in self._seen:
            self._steps.put(lambda tracker: tracker.on_trial_start(0, [], trial))
        self._seen[config.trial_id] = new[-1].evaluation
        for row in new:
            values = {key: value for key, value in row.values().items() if value is not None}
            result = {"training_iteration": row.evaluation, **values}
            self._steps.put(partial(_result, trial=trial, result=result))

    def end(self, config: TrialConfig, *, failed: bool) -> None:
        """Close a trial's record."""
        if config.trial_id not in self._seen:
            return
        trial = self._trial(config)
        end = "on_trial_error" if failed else "on_trial_complete"
        self._steps.put(lambda tracker: getattr(tracker, end)(0, [], trial))

    def close(self) -> None:
        """Wait until every tracker has what was added, and let it finish."""
        if self._thread is not None:
            self._steps.put(lambda tracker: tracker.on_experiment_end([]))
            self._steps.put(None)
            self._thread.join()

    def _trial(self, config: TrialConfig) -> _Trial:
        folder = (self._store / _FOLDER / config.trial_id).path
        about = {"schedule": config.schedule, "phase": str(config.phase), "seed": config.seed}
        return _Trial(config.trial_id, self._study, folder, about | dict(config.params))

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            self._each(step)

    def _each(self, step: Callable[[Any], None]) -> None:
        for tracker in list(self._trackers):
            try:
                step(tracker)
            except Exception as error:  # noqa: BLE001 - an error of a tracker or its server must not end the study
                _log.warning("%s raised an error and was disabled: %r", type(tracker).__name__, error)
                _log.info("its traceback", exc_info=error)
                self._trackers.remove(tracker)


def _result(tracker: Any, trial: _Trial, result: dict[str, Any]) -> None:
    tracker.on_trial_result(0, [], trial, dict(result))


def _trackers(study: Study) -> Iterator[Callable[[], Any]]:
    section = study.logging
    if section.tensorboard:
        from ray.tune.logger import TBXLoggerCallback

        yield TBXLoggerCallback
    if section.mlflow:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        yield lambda: MLflowLoggerCallback(tracking_uri=section.mlflow, experiment_name=study.name)
    if section.wandb:
        from ray.air.integrations.wandb import WandbLoggerCallback

        yield lambda: WandbLoggerCallback(project=section.wandb, group=study.name)
