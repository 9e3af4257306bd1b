"""The part of a study's settings that decides its trials, and so makes it the study that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Sections that may differ between two runs of one study: what a trial occupies, what is done about faults,
# where its epochs are sent to, and what its devices cost.
FREE_SECTIONS: Final = ("resources", "faults", "logging", "cost")
# Settings of a task that change nothing at these values: a run that was started by a version without them
# stays the same study.
NEUTRAL: Final[Mapping[str, Any]] = {
    "accumulate": 1,
    "drop_last": False,
    "clip_norm": None,
    "ema": None,
    "compile": False,
    "evaluate_every": None,
    "metrics": {},
    "loader": None,
    "columns": None,
    "lengths": [],
    "diagnose": [],
}
# The same of a budget.
NEUTRAL_BUDGET: Final[Mapping[str, Any]] = {
    "replicates": 1,
    "until": "spent",
    "most": None,
    "first_trials": None,
    "common_seed": False,
    "select": 0,
    "stop": "never",
}
_NO_VALUE: Final = object()


def deciding_part(spec: Mapping[str, Any], *, range_tests: bool) -> dict[str, Any]:
    """Return what decides the trials, from a resolved study as plain data.

    Leaves out ``FREE_SECTIONS``, settings of the task and the budget that have their ``NEUTRAL`` value, the
    section on range tests unless a schedule asks for one, and the targets, the reference and the margin,
    which only the report reads. Targets that runs are tuned for, or end at, do decide them; and so do several
    workers for a trial: each trains on a part of the data.
    """
    part = {key: value for key, value in spec.items() if key not in FREE_SECTIONS}
    if isinstance(task := spec.get("task"), Mapping):
        part["task"] = deciding_task(task)
    budget = spec.get("budget")
    if isinstance(budget, Mapping):
        part["budget"] = deciding_budget(budget)
    resources = spec.get("resources")
    if isinstance(resources, Mapping) and resources.get("workers", 1) != 1:
        part["workers"] = resources["workers"]
    target = spec.get("target")
    if isinstance(target, Mapping):
        part["target"] = {"metric": target.get("metric")} | _deciding_target(target, budget or {})
    if not range_tests:
        part.pop("range_test", None)
    return part


def deciding_budget(budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved budget without the settings that have their ``NEUTRAL_BUDGET`` value."""
    part = {key: value for key, value in budget.items() if value != NEUTRAL_BUDGET.get(key, _NO_VALUE)}
    if "select" not in part:
        part.pop("select_seeds", None)
    return part


def _deciding_target(target: Mapping[str, Any], budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the targets that tuning, or the end of a run, depends on."""
    tuned, stops = budget.get("objective") == "target", budget.get("stop", "never") != "never"
    names = [*(["primary"] if tuned else []), *(["values"] if tuned or stops else [])]
    names += ["arrival", "clock"] if names else []
    part = {name: target.get(name) for name in names}
    # No trial depends on seconds: the objective is then counted in the study's own clock.
    return part | ({"clock": None} if part.get("clock") == "seconds" else {})


def deciding_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved task without the settings that have their ``NEUTRAL`` value."""
    part = {key: value for key, value in task.items() if value != NEUTRAL.get(key, _NO_VALUE)}
    # The number of processes that read rows changes none of them.
    return part | ({"loader": True} if "loader" in part else {})
