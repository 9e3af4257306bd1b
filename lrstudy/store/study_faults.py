"""The faults of a ``study.json`` that a report would stumble over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from lrstudy.records import Phase
from lrstudy.rules.clocks import CLOCKS
from lrstudy.rules.looks import looks_of
from lrstudy.rules.metrics import declared_metrics, metric_of

_SHAPE: Final[Mapping[str, type | tuple[type, ...]]] = {
    "name": str,
    "spec": dict,
    "spec_hash": str,
    "seed": int,
    "versions": dict,
    "git_commit": (str, type(None)),
    "hardware": dict,
    "created_at": str,
    "spec.task": dict,
    "spec.budget": dict,
    "spec.budget.trials": int,
    "spec.budget.confirm_seeds": int,
    "spec.target": dict,
    "spec.target.metric": str,
    "spec.target.reference": str,
    "spec.schedules": dict,
}


def faults_of(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The key and the fault of each part of ``study.json`` that a report would stumble over."""
    faults = []
    for key, kind in _SHAPE.items():
        parent, _, name = key.rpartition(".")
        holder = _at(data, parent)
        if not isinstance(holder, dict):
            continue  # reported with the holder itself
        if name not in holder:
            faults.append((key, "is missing"))
        elif not isinstance(holder[name], kind):
            faults.append((key, "has the wrong type"))
    if not faults:
        faults += _deeper_faults(data)
    return faults


def _deeper_faults(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults = []
    spec = data["spec"]
    try:
        metric_of(spec["target"]["metric"], declared_metrics(spec["task"].get("metrics") or {}))
    except KeyError:
        faults.append(("spec.target.metric", "is not a known metric"))
    except (AttributeError, TypeError, ValueError):
        faults.append(("spec.task.metrics", "is not a table of metrics"))
    faults += _length_faults(spec["task"])
    try:
        if judged := data.get("judged", {}):
            metric_of(judged["metric"], declared_metrics(spec["task"].get("metrics") or {}))
    except (AttributeError, KeyError, TypeError, ValueError):
        faults.append(("judged", "names no known metric"))
    if spec["target"]["reference"] not in spec["schedules"]:
        faults.append(("spec.target.reference", "is not one of the schedules"))
    for name, entry in spec["schedules"].items():
        if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
            faults.append((f"spec.schedules.{name}", "has no kind"))
    lanes = data.get("lanes", 0)
    if not isinstance(lanes, int) or isinstance(lanes, bool) or lanes < 0:
        faults.append(("lanes", "must be a whole number from 0"))
    try:
        looks_of(data.get("looks", []))
    except (AttributeError, KeyError, TypeError, ValueError):
        faults.append(("looks", "is not a list of looks"))
    if not _is_history(data.get("history", [])):
        faults.append(("history", "is not a list of extensions"))
    if not isinstance(data.get("fingerprints", {}), dict):
        faults.append(("fingerprints", "has the wrong type"))
    stopped = data.get("stopped", {})
    if not isinstance(stopped, dict) or not all(isinstance(entry, dict) for entry in stopped.values()):
        faults.append(("stopped", "is not a table of schedules"))
    try:
        datetime.fromisoformat(data["created_at"])
    except ValueError:
        faults.append(("created_at", "is not a time"))
    return faults


def _is_history(history: Any) -> bool:
    """Return True if it is a list of extensions."""
    phases = {phase.value for phase in Phase}
    return isinstance(history, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("changes"), dict)
        and isinstance(hashes := entry.get("spec_hash"), list)
        and [*map(type, hashes)] == [str, str]
        and isinstance(numbers := entry.get("numbers", {}), dict)
        and numbers.keys() <= phases
        and all(isinstance(number, int) for number in numbers.values())
        for entry in history
    )


def _length_faults(task: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fault of a task without a length, which is a whole number in one of the clocks."""
    name = next((clock for clock in CLOCKS if clock != "epochs" and task.get(clock) is not None), "epochs")
    if name not in task:
        return [(f"spec.task.{name}", "is missing")]
    whole = isinstance(task[name], int) and not isinstance(task[name], bool)
    return [] if whole else [(f"spec.task.{name}", "has the wrong type")]


def _at(data: Any, path: str) -> Any:
    for part in path.split(".") if path else []:
        data = data.get(part) if isinstance(data, dict) else None
    return data
