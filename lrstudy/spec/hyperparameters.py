"""The names of a trial's hyperparameters.

One without a dot is a parameter of the schedule (``lr``). One with a dot is a value of the task, named by its
place: ``task.batch_size``, ``optimizer.weight_decay``, ``model.widths``; where the task is a user's own
training function also ``task.options.NAME``, and ``params.NAME`` for what it reads from ``trial.params``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lrstudy.catalog.moved_options import names_moved
from lrstudy.rules.values import as_lists

FUNCTION_OPTIONS: Final = "task.options."
FUNCTION_PARAMS: Final = "params."


def is_of_task(name: str) -> bool:
    """Return True if a hyperparameter is a value of the task, not a parameter of the schedule.

    ``momentum.from`` is the schedule's (``catalog.moved_options``).
    """
    return "." in name and not names_moved([name])


def schedule_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of a trial that belong to its schedule.

    >>> schedule_params({"lr": 0.1, "optimizer.weight_decay": 1e-4})
    {'lr': 0.1}
    """
    return {name: value for name, value in params.items() if not is_of_task(name)}


def task_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of a trial that are values of its task.

    >>> task_params({"lr": 0.1, "optimizer.weight_decay": 1e-4})
    {'optimizer.weight_decay': 0.0001}
    """
    return {name: value for name, value in params.items() if is_of_task(name)}


def function_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that a user's own training function reads from ``trial.params``.

    >>> function_params({"lr": 0.1, "params.weight_decay": 1e-4, "task.options.width": 8})
    {'weight_decay': 0.0001}
    """
    return {
        name.removeprefix(FUNCTION_PARAMS): as_lists(value)
        for name, value in params.items()
        if name.startswith(FUNCTION_PARAMS)
    }
