"""Columns without some trials, or judged by another metric."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric


def without(columns: Columns, trial_ids: Collection[str]) -> Columns:
    """Return the columns without these trials; their evaluations stay, and belong to none."""
    if not trial_ids:
        return columns
    kept = (trial for trial in columns.trials if trial.trial_id not in trial_ids)
    return replace(
        columns, trials=tuple(replace(trial, place=place) for place, trial in enumerate(kept)), _first={}
    )


def with_best(columns: Columns, metric: Metric) -> Columns:
    """Return the columns with each trial's best value by this metric: its row has that of the tuned one."""
    return replace(
        columns, trials=tuple(_with_best(columns, trial, metric) for trial in columns.trials), _first={}
    )


def _with_best(columns: Columns, trial: Trial, metric: Metric) -> Trial:
    values = columns.value[trial.begin : trial.end]
    if not np.isfinite(values).any() or trial.status is Status.DIVERGED:
        return replace(trial, best_val=None, best_evaluation=None)
    best = int((np.nanargmax if metric.higher_is_better else np.nanargmin)(values))
    return replace(
        trial, best_val=float(values[best]), best_evaluation=int(columns.evaluation[trial.begin + best])
    )
