"""An estimate of a study's time from a second of its training. Nothing is recorded."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from dataclasses import dataclass

import torch

from lrstudy.engine.lanes import LaneChoice, choose_lanes, seconds_per_step
from lrstudy.engine.step import build_step
from lrstudy.records import TrialRecord
from lrstudy.rules.identity import deciding_task
from lrstudy.spec import Study, TaskSpec
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.store import Store
from lrstudy.tasks import Pipeline, TaskData, assemble

# Measured on 2 CPU cores: the time of Ray's start for a study, and of Ray and the store for a trial.
_START_SECONDS = 5.0
_TRIAL_SECONDS = 0.15
_MEASURE_SECONDS = 1.0

# The training steps that take as long as a measurement of task.diagnose.
_DIAGNOSIS_STEPS = {"gradients": 2, "stability": 50}


@dataclass(frozen=True, slots=True)
class Estimate:
    """The seconds of the whole study (None: unknown), the basis of that number, and the steps of an epoch.

    ``trial_seconds`` is the time for which one trial occupies its CPUs and GPUs, ``data`` describes the data
    set. ``lanes`` is the number of lanes of the study and its reason; ``advice`` recommends another number if
    a measurement on this machine does. ``recorded``: the trials of an earlier run were timed, not steps here.
    """

    seconds: float | None
    basis: str
    steps_per_epoch: int | None = None
    trial_seconds: float | None = None
    data: str = ""
    lanes: LaneChoice | None = None
    advice: str = ""
    recorded: bool = False


def estimate_seconds(study: Study, data: TaskData, run: Store | None = None) -> Estimate:
    """Estimate from the trials of an earlier run of the same task, or from a second of training here."""
    steps = Pipeline(data, study.built_in, torch.device("cpu")).steps_per_epoch
    each, basis = (None, "") if run is None else _recorded(study, run)
    choice, advice, recorded = choose_lanes(study, data), "", each is not None
    if each is None:
        alone, lanes = _time_steps(study, data), choice.lanes
        step_seconds = seconds_per_step(study, data, lanes) if lanes else alone
        each = study.built_in.epochs * steps * step_seconds + (0.0 if lanes else _TRIAL_SECONDS)
        where = f" of each of {lanes} lanes" if lanes else ""
        basis = f"from {step_seconds * 1e3:.2g} ms a step{where} on this CPU"
        if step_seconds > alone:
            advice = f"measured here, a step alone takes {alone * 1e3:.2g} ms: resources.lanes = 0 is faster"
    if any(is_of_task(name) for schedule in study.schedules for name in schedule.space):
        basis += ", at the values of [task]"
    at_once = trials_at_once(study)
    seconds = _START_SECONDS + study.trials_of_whole_length * each / at_once
    done = f"{basis}, {at_once} at once"
    return Estimate(seconds, done, steps, each, data.description, choice, advice, recorded)


def estimate_function(study: Study, run: Store | None = None) -> Estimate:
    """Estimate a study of a user's training function from the trials of an earlier run of the same task."""
    each, basis = (None, "") if run is None else _recorded(study, run)
    if each is None:
        basis = "no trial of it is recorded yet; lrstudy check measures some steps"
        return Estimate(None, basis, lanes=choose_lanes(study, None))
    at_once = trials_at_once(study)
    seconds = _START_SECONDS + study.trials_of_whole_length * each / at_once
    basis = f"{basis}, {at_once} at once"
    return Estimate(seconds, basis, trial_seconds=each, lanes=choose_lanes(study, None), recorded=True)


def whole_study_seconds(study: Study, trial_seconds: float) -> float:
    """Return the seconds of a study whose trials take so long each, Ray's start included."""
    return _START_SECONDS + study.all_trials * (trial_seconds + _TRIAL_SECONDS) / trials_at_once(study)


def trials_at_once(study: Study) -> int:
    """Return the number of trials that this machine runs at once."""
    at_once = max(1, (os.cpu_count() or 1) // (study.resources.cpus * study.resources.workers))
    return min(at_once, study.resources.max_concurrent) if study.resources.max_concurrent else at_once


def _recorded(study: Study, run: Store) -> tuple[float | None, str]:
    """Return the mean seconds of the complete trials in a run of the same task, and a description."""
    if deciding_task(run.study.spec.get("task", {})) != deciding_task(study.to_json()["task"]):
        return None, ""
    whole = [trial for trial in run.trial_records() if _done(trial, study.clock) == study.length]
    if not whole:
        return None, ""
    seconds = {trial.trial_id: (trial.ended_at - trial.started_at).total_seconds() for trial in whole}
    if run.study.lanes:  # trials of a group overlap: only the epochs hold a trial's share
        seconds = dict.fromkeys(seconds, 0.0)
        for key, row in run.evaluation_records():
            if key.trial_id in seconds:
                seconds[key.trial_id] += row.train_seconds + row.eval_seconds
    return statistics.fmean(seconds.values()), f"from {len(whole)} recorded trials"


def _done(trial: TrialRecord, clock: str) -> float | None:
    return trial.steps_run if clock == "steps" else trial.epochs_run


def _evaluation_share(task: TaskSpec, data: TaskData, steps_per_epoch: int) -> float:
    """Return the seconds of evaluations, and of what is diagnosed, per second of training steps."""
    evaluations = steps_per_epoch / (task.evaluate_every or steps_per_epoch)  # in an epoch
    models = 1 if task.ema is None else 2
    # A forward pass is about a third of a step.
    forward = models * data.rows("validation") / data.rows("train") / 3
    return evaluations * (forward + sum(_DIAGNOSIS_STEPS[kind] for kind in task.diagnose) / steps_per_epoch)


def _time_steps(study: Study, data: TaskData) -> float:
    """Return the seconds of a training step, including its share of the evaluation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(study.resources.cpus)
    try:
        parts = assemble(study.built_in, data, torch.device("cpu"))
        step = build_step(parts, "eager")
        epochs = (parts.pipeline.train_steps(parts.order) for _ in itertools.count())
        warm_up, counted, started = 3, 0, time.perf_counter()
        for batches in itertools.chain.from_iterable(epochs):
            step.over(batches)
            counted += 1
            if counted == warm_up:
                started = time.perf_counter()
            elif counted > warm_up and time.perf_counter() - started > _MEASURE_SECONDS:
                break
        step_seconds = (time.perf_counter() - started) / max(counted - warm_up, 1)
        return step_seconds * (1.0 + _evaluation_share(study.built_in, data, parts.pipeline.steps_per_epoch))
    finally:
        torch.set_num_threads(threads)
