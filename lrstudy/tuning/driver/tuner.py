"""The ``Tuner`` of a study: its searcher, its scheduler, its stopper, and what each trial reserves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial

from lrstudy.spec import Study
from lrstudy.store import Location
from lrstudy.tuning.driver.asha import Pruner
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.oldest_first import OldestFirst
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.driver.searcher import StudySearcher
from lrstudy.tuning.driver.stopper import StudyStopper
from lrstudy.tuning.driver.whole_machine import WholeMachine
from lrstudy.tuning.resource_request import BESIDE_WORKERS, exclusive_request, needs, worker_count
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.loop import trainable
from lrstudy.tuning.worker.process import Payload


def study_tuner(
    study: Study,
    controller: Controller,
    pruner: Pruner,
    recorder: Recorder,
    retries: Retries,
    stop: StopRequest,
    payload: Payload,
    machine: WholeMachine,
    scratch: Location,
    *,
    lanes: int,
    more: Callable[[], bool],
) -> tune.Tuner:
    """Return a tuner that runs the trials which the controller hands out.

    ``scratch`` is the folder of Tune's files. ``machine`` decides what trials that must run alone ask for.
    ``more`` returns True if it has planned further trials.
    """
    resources = study.resources
    each, machine_given = needs(resources), machine.given

    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes  # Ray does not annotate it

    def per_trial(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        if resources.workers > 1:
            return tune.PlacementGroupFactory([dict(BESIDE_WORKERS)])
        whole = config["alone"] and machine_given
        return tune.PlacementGroupFactory([exclusive_request(each, nodes()) if whole else each])

    searcher = StudySearcher(
        controller,
        retries,
        stop,
        resources.max_concurrent,
        lanes=lanes,
        workers=lambda: worker_count(each, nodes()) // resources.workers,
        own_groups=resources.workers > 1,
        more=more,
    )

    def lost(trial: Trial) -> None:
        searcher.on_trial_complete(trial.trial_id, error=True)
        recorder.lose(trial, RayActorError(error_msg="the previous trial did not release the worker"))

    return tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, payload=payload), per_trial),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=OldestFirst(lost, machine),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=scratch.path,
            storage_filesystem=None if scratch.local is not None else scratch.filesystem,
            callbacks=[recorder],
            # The recorder retries failed trials: Tune has one budget for all faults.
            failure_config=tune.FailureConfig(max_failures=0),
            stop=StudyStopper(recorder, pruner, stop, payload.pruned_lanes),
            verbose=0,
        ),
    )


def _trial_name(trial: Trial) -> str:
    return trial.trial_id
