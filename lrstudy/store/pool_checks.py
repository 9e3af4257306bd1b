"""The settings in which stores must, and should, agree before their trials are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lrstudy.errors import Problem
from lrstudy.rules.fingerprints import models_agree
from lrstudy.store.reader import Store
from lrstudy.store.study_info import StudyInfo

# Settings that change the speed of a trial, or its last digits, and not the training that it is.
_FREE_TASK: Final = ("compile", "channels_last", "deterministic", "loader")
_TARGET: Final = ("metric", "values", "primary", "arrival", "clock")
_REPORTED: Final = ("margin", "end_margin")
_MISSING: Final = object()


def must_match(first: Store, other: Store) -> Iterator[Problem]:
    """Yield a problem for each setting that makes the trials of another store incomparable."""
    one, two = first.study, other.study
    remedy = f"Pool runs of one study only; run your schedule with the settings of {first.location}"
    for key, ours, theirs in _different(_deciding(one), _deciding(two)):
        message = f"is {_shown(theirs)} here and {_shown(ours)} in {first.location}"
        yield Problem(str(other.location), key, message, remedy)
    prints, theirs_prints = one.fingerprints, two.fingerprints
    for part, word in (("data", "rows or their split"), ("train", "code of the training function")):
        ours, theirs = prints.get(part), theirs_prints.get(part)
        if ours is not None and theirs is not None and ours != theirs:
            message = f"has other {word} ({str(theirs)[:8]}) than {first.location} ({str(ours)[:8]})"
            yield Problem(str(other.location), f"fingerprints.{part}", message, _same(part))
    model, their_model = prints.get("model"), theirs_prints.get("model")
    if model is not None and their_model is not None and not models_agree(model, their_model):
        message = f"has a model that computes other values than that of {first.location}"
        yield Problem(str(other.location), "fingerprints.model", message, _same("model"))
    yield from _seconds(first, other)


def _same(part: str) -> str:
    return f"Train both with the same {part}: the same files, code and package versions"


def _seconds(first: Store, other: Store) -> Iterator[Problem]:
    """Yield a problem if times are compared in seconds of machines that differ."""
    if first.study.target_clock == "seconds":
        ours, theirs = _machine(first.study), _machine(other.study)
        if ours != theirs:
            message = f"counts seconds on {theirs}, and {first.location} on {ours}"
            remedy = "Compare in a clock that no machine changes: target.clock = epochs, steps or samples"
            yield Problem(str(other.location), "target.clock", message, remedy)


def _deciding(study: StudyInfo) -> dict[str, Any]:
    """Return the settings that decide what a trial is and what it is judged by, by their keys."""
    spec, budget = study.spec, dict(study.spec["budget"])
    for name in ("generation", "first_trials"):
        budget.pop(name, None)
    if budget.get("until", "spent") == "spent":
        if budget.get("replicates", 1) == 1:
            budget.pop("confirm_seeds", None)
        budget.pop("replicates", None)
    task = {name: value for name, value in spec["task"].items() if name not in _FREE_TASK}
    target = {name: spec["target"].get(name) for name in _TARGET}
    found = {"seed": study.seed, "imported": study.imported, "judged": study.judged.get("metric")}
    found |= _flat("task", task) | _flat("budget", budget) | _flat("target", target)
    found |= _flat("resources", {"workers": (spec.get("resources") or {}).get("workers", 1)})
    return found


def should_match(first: Store, other: Store) -> Iterator[str]:
    """Yield a sentence for each difference that should not, but can change what trials compute."""
    one, two, where = first.study, other.study, f"{first.location} and {other.location}"
    for name, ours, theirs in _different(one.versions, two.versions):
        yield f"{where} were run with different versions of {name}: {_shown(ours)} and {_shown(theirs)}."
    if (ours := _machine(one)) != (theirs := _machine(two)):
        yield f"{where} were trained on different machines: {ours} and {theirs}."
    free = ({key: study.spec["task"].get(key) for key in _FREE_TASK} for study in (one, two))
    for name, ours, theirs in _different(*(_flat("task", settings) for settings in free)):
        yield f"{name} differs between {where}: {_shown(ours)} and {_shown(theirs)}."
    judged = ({key: study.spec["target"].get(key) for key in _REPORTED} for study in (one, two))
    for name, ours, theirs in _different(*judged):
        yield f"target.{name} differs between {where}: {_shown(ours)} (used) and {_shown(theirs)}."
    for part in ("data", "train", "model"):
        if (part in one.fingerprints) != (part in two.fingerprints):
            lacking = other if part in one.fingerprints else first
            yield f"{lacking.location} has no fingerprint of its {part}: nothing shows that it is the same."
    if not one.fingerprints and not two.fingerprints:
        yield f"Neither of {where} has a fingerprint of its data: nothing shows that they are the same."


def _machine(study: StudyInfo) -> str:
    hardware = study.hardware
    gpus = hardware.get("gpus") or []
    return ", ".join(dict.fromkeys(map(str, gpus))) or str(hardware.get("cpu") or "an unknown machine")


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Return a nested table as one of dotted keys."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {
        key: one for name, inner in value.items() for key, one in _flat(f"{prefix}.{name}", inner).items()
    }


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield keys with two different values; an earlier lrstudy left out what it did not know or was off."""
    for key in dict.fromkeys((*one, *other)):
        ours, theirs = one.get(key, _MISSING), other.get(key, _MISSING)
        if ours != theirs and not (_is_off(ours) and _is_off(theirs)):
            yield key, ours, theirs


def _is_off(value: Any) -> bool:
    return value is _MISSING or value in (None, False, [], {}, "")


def _shown(value: Any) -> str:
    return "not set" if value is _MISSING or value is None else repr(value)
