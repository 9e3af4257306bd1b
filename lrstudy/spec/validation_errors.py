"""Pydantic's errors in the words of a study file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from lrstudy.errors import did_you_mean
from lrstudy.spec.space import Trouble

_TYPES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a name or a table with a name",
    "string_too_short": "must not be empty",
    "finite_number": "must be finite",
}


# What a bound is for, where its number does not say it.
_BOUNDS = {
    "resources.gpus": (
        "must be at most 1: a worker trains on one GPU or a share of it",
        "Give at most 1, and for several GPUs in a trial of your own [task] train: workers = N, gpus = 1.",
    )
}


# Keys with values of two kinds, of which pydantic reports each: one problem says both.
_EITHER = {
    ("task", "validation"): (
        'must be a share of the training rows, above 0 and below 1, or "test"',
        'Give a share such as 0.2, or "test": the test rows are then validated on.',
    )
}


# Keys of the built-in task that mean nothing where the user's own function trains.
_BUILT_IN = {
    "task.diagnose": (
        "is for the built-in task, whose model and loss lrstudy has",
        "Leave it out, or report such values as metrics: trial.report(…).",
    )
}


def section_problems(section: str, model: type[BaseModel], error: ValidationError) -> Iterator[Trouble]:
    """Every error that pydantic found in one section of a study file."""
    seen: set[tuple[str, str]] = set()
    for detail in error.errors(include_url=False):
        trouble = _trouble(section, model, dict(detail))
        if (trouble.key, trouble.message) not in seen:
            seen.add((trouble.key, trouble.message))
            yield trouble


def _trouble(section: str, model: type[BaseModel], detail: dict[str, Any]) -> Trouble:
    location = [
        part for part in detail["loc"] if not str(part).startswith(("tuple[", "function-", "float", "int"))
    ]
    key = section + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    field = str(location[0]) if location else ""
    if (section, field) in _EITHER:
        return Trouble(f"{section}.{field}", *_EITHER[section, field], value)
    match kind:
        case "missing" if len(location) > 1:
            remedy = f'Write {field} = {{ name = "…", … }}.'
            return Trouble(f"{section}.{field}", "has no name", remedy, value)
        case "extra_forbidden" if len(location) > 1:
            return Trouble(
                f"{section}.{field}", "has no name", f'Write {field} = {{ name = "…", … }}.', value
            )
        case "missing":
            example = '"name"' if field in ("dataset", "model") else "…"
            remedy = f"Add {field} = {example} under [{section}]."
            return Trouble(key, "is missing", remedy, None)
        case "extra_forbidden" if key in _BUILT_IN:
            return Trouble(key, *_BUILT_IN[key], value)
        case "extra_forbidden":
            known = list(model.model_fields)
            return Trouble(key, f"is not a key of [{section}]", did_you_mean(str(location[-1]), known), value)
        case "literal_error":
            expected = str(context["expected"])
            return Trouble(key, f"must be one of {expected}", f"Choose one of {expected}.", value)
        case "greater_than_equal":
            return _bound(key, "at least", context["ge"], value)
        case "greater_than":
            return _bound(key, "above", context["gt"], value)
        case "less_than_equal" if key in _BOUNDS:
            return Trouble(key, *_BOUNDS[key], value)
        case "less_than_equal":
            return _bound(key, "at most", context["le"], value)
        case "less_than":
            return _bound(key, "below", context["lt"], value)
    message = _TYPES.get(kind, detail["msg"][:1].lower() + detail["msg"][1:])
    return Trouble(key, message, f"Correct {key}.", value)


def _bound(key: str, relation: str, bound: float, value: Any) -> Trouble:
    return Trouble(key, f"must be {relation} {bound:g}", f"Give a value {relation} {bound:g}.", value)
