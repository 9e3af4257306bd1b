"""A study's trial of a user's own training function, ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from lrstudy.engine.function.function_group import FunctionGroup
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.outcome import Outcome, outcome_after
from lrstudy.rules.user_modules import UserCode, load
from lrstudy.spec import FunctionTask, Study
from lrstudy.spec.hyperparameters import function_params, schedule_params
from lrstudy.spec.searched_values import study_of_trial


def start_function(study: Study, config: TrialConfig, device: torch.device) -> FunctionGroup:
    """Return the group of a trial; raises ``ContractError`` if the function cannot be imported."""
    study = study_of_trial(study, config.schedule, config.params)
    task = study.function
    assert task is not None
    function = load(train_code(task))
    return FunctionGroup(function, settings_of(study, task, config, device), partial(outcome_of, study))


def train_code(task: FunctionTask) -> UserCode:
    """Return the place of the function in the study file."""
    return UserCode(task.train, "task", "train")


def settings_of(study: Study, task: FunctionTask, config: TrialConfig, device: torch.device) -> Settings:
    """Return what the function is given in this trial."""
    return Settings(
        seed=config.seed,
        replicate=config.replicate,
        schedule=config.schedule,
        kind=config.kind,
        schedule_params=schedule_params(config.params),
        params=function_params(config.params),
        metric=study.metric,
        declared=tuple(task.metrics),
        steps=task.steps,
        epochs=task.epochs,
        evaluate_every=task.evaluate_every,
        steps_per_epoch=task.steps_per_epoch,
        options=task.options,
        lr=task.lr,
        divergence=task.divergence,
        device=device,
    )


def outcome_of(study: Study, rows: Sequence[EvaluationRecord], reason: str | None) -> Outcome:
    """Return a trial's outcome from its evaluations and the reason why it diverged, if it did."""
    status = Status.COMPLETED if reason is None else Status.DIVERGED
    return outcome_after(study, rows, status, reason)
