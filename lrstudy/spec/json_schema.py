"""The study file's JSON Schema (draft 2020-12), from the same declarations that check it.

Editors complete and check study files with it. What only the whole file shows (a reference that is not a
schedule, a metric that does not fit the loss) is left to ``lrstudy validate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from lrstudy.catalog import Component
from lrstudy.catalog.augmentations import AUGMENTATIONS
from lrstudy.catalog.moved_options import MOVED_OPTIONS
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.catalog.task_parts import (
    DATASETS,
    LOSSES,
    MODELS,
    NORMALIZATIONS,
    OPTIMIZERS,
    STREAMED,
    TORCHVISION,
)
from lrstudy.catalog.torchvision_names import TORCHVISION_MODELS
from lrstudy.rules.metrics import METRICS
from lrstudy.spec.field_docs import FIELD_DOCS
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.load import SECTIONS
from lrstudy.spec.part_checks import GROUPS
from lrstudy.spec.schedule_schema import (
    OWN_PATTERN,
    Schema,
    any_method_schema,
    any_schedule_schema,
    doc_of,
    methods_schema,
    moved_schema,
    required,
    schedule_schema,
    schedules_schema,
    search_schema,
    value_schema,
)


def study_schema() -> Schema:
    """The JSON Schema of a study file as plain data."""
    sections = {name: _section(name, model) for name, model in SECTIONS.items()}
    sections["task"] = {
        "type": "object",
        "description": "The training: the built-in task, or with train the user's own function.",
        "if": {"required": ["train"]},
        "then": _section("function", FunctionTask),
        "else": sections["task"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lrstudy study file",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "task"],
        "anyOf": [{"required": ["schedules"]}, {"required": ["methods"]}],
        "if": {"properties": {"task": {"required": ["train"]}}},
        "else": {"properties": {"target": {"properties": {"metric": _built_in_metric()}}}},
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "pattern": r"^[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*$",
                "description": FIELD_DOCS["name"],
            },
            "seed": {
                "type": "integer",
                "minimum": 0,
                "exclusiveMaximum": 2**63,
                "default": 0,
                "description": FIELD_DOCS["seed"],
            },
            **sections,
            "schedules": schedules_schema(),
            "methods": methods_schema(),
            "search": search_schema(),
        },
        "$defs": {
            "optimizer": _part(OPTIMIZERS, own=True, more={GROUPS: _groups()}),
            "loss": _part(LOSSES, own=True),
            "schedule": any_schedule_schema(),
            **{f"moved.{name}": moved_schema(option) for name, option in MOVED_OPTIONS.items()},
            "method": any_method_schema(),
            **{f"schedule.{name}": schedule_schema(component) for name, component in SCHEDULES.items()},
        },
    }


def _section(name: str, model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    properties: dict[str, Schema] = {}
    for field, declared in schema["properties"].items():
        kept = {key: value for key, value in declared.items() if key not in ("title", "default", "$ref")}
        if "default" in declared and declared["default"] is not None and not _is_component(declared):
            kept["default"] = declared["default"]
        properties[field] = _special(name, field, kept) | {"description": FIELD_DOCS[f"{name}.{field}"]}
    text = (model.__doc__ or "").partition("\n\n")[0]
    section: Schema = {
        "type": "object",
        "description": " ".join(text.split()),
        "additionalProperties": False,
        "properties": properties,
    }
    return section | ({"required": schema["required"]} if "required" in schema else {})


def _built_in_metric() -> Schema:
    return {"enum": [name for name in METRICS if name.startswith("val_")], "default": "val_accuracy"}


def _declared_metric() -> Schema:
    goal: Schema = {"enum": ["min", "max"]}
    bound: Schema = {"type": "number"}
    table: Schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["goal"],
        "properties": {"goal": goal, "low": bound, "high": bound},
    }
    return {"anyOf": [goal, table]}


def _is_component(declared: Mapping[str, Any]) -> bool:
    return "ComponentSpec" in str(declared)


def _special(section: str, field: str, plain: Schema) -> Schema:
    """Add what the field's own type does not say: the names that the catalog knows."""
    match section, field:
        case "task", "dataset":
            return _part({**DATASETS, **STREAMED}, own=True)
        case "task", "model":
            return _part(MODELS, own=True, others=[f"{TORCHVISION}{name}" for name in TORCHVISION_MODELS])
        case "task", "loss":
            return {"$ref": "#/$defs/loss"}
        case "task", "optimizer":
            return {"$ref": "#/$defs/optimizer"}
        case "task", "augment":
            names = "|".join(AUGMENTATIONS)
            return {"type": "array", "items": {"type": "string", "pattern": f"^({names})(:.+)?$"}}
        case "task", "normalize":
            return {"enum": list(NORMALIZATIONS)}
        case "target", "metric":
            return {"type": "string", "minLength": 1}
        case "function", "train":
            return {"type": "string", "pattern": OWN_PATTERN}
        case "function", "metrics":
            return {"type": "object", "minProperties": 1, "additionalProperties": _declared_metric()}
        case "target", "values":
            return {"type": "array", "minItems": 1, "items": {"type": "number"}}
    # TOML has no null: a field that may be left out is left out.
    alternatives = [entry for entry in plain.get("anyOf", []) if entry != {"type": "null"}]
    if len(alternatives) == 1:
        (one,) = alternatives
        return {**{key: value for key, value in plain.items() if key != "anyOf"}, **one}
    return plain


def _part(
    known: Mapping[str, Component],
    *,
    own: bool = False,
    others: list[str] | None = None,
    more: Mapping[str, Schema] | None = None,
) -> Schema:
    """A part of the task: a name, or a table with a name and options, ``more`` among them."""
    names = [*known, *(others or [])]
    simple = [name for name in names if name not in known or not required(known[name])]
    # A name of torchvision's looks like one's own, and is known.
    anything = {"type": "string", "pattern": OWN_PATTERN.replace("^", f"^(?!{TORCHVISION})")}
    tables = [_table(component, more or {}) for component in known.values()]
    open_name: list[Schema] = [{"enum": others}] if others else []
    if own:
        open_name.append(anything)
    if open_name:
        tables.append({"type": "object", "required": ["name"], "properties": {"name": {"anyOf": open_name}}})
    return {"anyOf": [{"enum": simple}, *([anything] if own else []), *tables]}


def _table(component: Component, more: Mapping[str, Schema]) -> Schema:
    options = {
        parameter.name: value_schema(parameter) | doc_of(parameter) for parameter in component.parameters
    }
    return {
        "type": "object",
        "description": component.doc,
        "additionalProperties": False,
        "required": ["name", *required(component)],
        "properties": {"name": {"const": component.name}, **options, **more},
    }


def _groups() -> Schema:
    """The groups of an optimizer's parameters; their options depend on the optimizer."""
    pattern: Schema = {"type": "string", "minLength": 1}
    own: Schema = {"type": "string", "pattern": OWN_PATTERN}
    return {
        "type": "array",
        "minItems": 1,
        "description": FIELD_DOCS["optimizer.groups"],
        "items": {
            "type": "object",
            "required": ["match"],
            "properties": {
                "match": {"anyOf": [pattern, {"type": "array", "minItems": 1, "items": pattern}]},
                "optimizer": {"anyOf": [{"enum": list(OPTIMIZERS)}, own]},
            },
        },
    }
