"""The tuning trials of a schedule by configuration: within a tuning, equal hyperparameters are one draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from lrstudy.analysis.trial_table import Trial
from lrstudy.records import Status
from lrstudy.rules.configurations import Configuration, configuration
from lrstudy.rules.objective import Objective

Tried: TypeAlias = Configuration[Trial]


def by_replicate(trials: Sequence[Trial]) -> dict[int, list[Trial]]:
    """Return the trials of each replicate, in the order of their numbers."""
    found: dict[int, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.replicate):
        found.setdefault(trial.replicate, []).append(trial)
    return found


def configurations(trials: Sequence[Trial]) -> list[Tried]:
    """Return the configurations of those trials that did not fail, in the order of their first ids."""
    groups: dict[tuple[int, str], list[Trial]] = {}
    for trial in trials:
        if trial.status is not Status.FAILED:
            key = (trial.replicate, json.dumps(trial.params, sort_keys=True))
            groups.setdefault(key, []).append(trial)
    ordered = sorted(groups.values(), key=lambda group: min(trial.trial_id for trial in group))
    return [configuration(number, group, lambda trial: trial.learned) for number, group in enumerate(ordered)]


def ranked(trials: Sequence[Trial], objective: Objective) -> list[Tried]:
    """Return the same, the better objective first; among equals as ``rules.configurations.rank`` does."""
    return sorted(
        configurations(trials), key=lambda one: (one.cost(objective), one.best_evaluation, one.number)
    )
