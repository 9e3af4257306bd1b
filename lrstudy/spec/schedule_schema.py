"""The JSON Schema of the tables of schedules and methods, and of what they search."""

from __future__ import annotations

import math
from typing import Any, Final

from lrstudy.catalog import REQUIRED, Component, Parameter
from lrstudy.catalog.moved_options import MOVED_OPTIONS, refusal
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.spec.field_docs import FIELD_DOCS
from lrstudy.spec.own_parts import OWN_PARTS
from lrstudy.spec.searched_values import TASK_KEYS

OWN_PATTERN: Final = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"
Schema = dict[str, Any]


def schedules_schema() -> Schema:
    """Any names with a kind; a schedule that is called as a kind needs none."""
    kinds: dict[str, Schema] = {
        name: {
            "description": component.doc,
            "not": {"required": ["schedule"]},
            "if": {"required": ["kind"]},
            "then": {"$ref": "#/$defs/schedule"},
            "else": {"$ref": f"#/$defs/schedule.{name}"},
        }
        for name, component in SCHEDULES.items()
    }
    return {
        "type": "object",
        "description": FIELD_DOCS["schedules"],
        "minProperties": 1,
        "properties": kinds,
        # A schedule may also be called as a function is: its name is then its kind.
        "patternProperties": {OWN_PATTERN: {"type": "object"}},
        "additionalProperties": {"$ref": "#/$defs/schedule", "required": ["kind"]},
    }


def methods_schema() -> Schema:
    """Any names with a schedule; a method that is called as a schedule needs none."""
    kinds: dict[str, Schema] = {
        name: {
            "description": component.doc,
            "not": {"required": ["kind"]},
            "if": {"required": ["schedule"]},
            "then": {"$ref": "#/$defs/method"},
            "else": {"$ref": f"#/$defs/schedule.{name}"},
        }
        for name, component in SCHEDULES.items()
    }
    return {
        "type": "object",
        "description": FIELD_DOCS["methods"],
        "minProperties": 1,
        "properties": kinds,
        "patternProperties": {OWN_PATTERN: {"type": "object"}},
        "additionalProperties": {"$ref": "#/$defs/method", "required": ["schedule"]},
    }


def any_method_schema() -> Schema:
    """A method with a schedule, which decides the other keys."""
    return _by_kind("schedule", "kind", FIELD_DOCS["methods.schedule"])


def search_schema() -> Schema:
    """Values of the task to search; a name with dots may also be written as tables in tables."""
    # The first alternative is one value, which leaves nothing to search.
    known = {
        f"task.{name}": {"anyOf": _searchable(parameter)["anyOf"][1:]} | doc_of(parameter)
        for name, parameter in TASK_KEYS.items()
    }
    return {
        "type": "object",
        "description": FIELD_DOCS["search"],
        "properties": known,
        "additionalProperties": {"type": ["object", "array"]},
    }


def _method_keys() -> dict[str, Schema]:
    """The keys that make a schedule a method."""
    search = {"type": "object", "description": FIELD_DOCS["schedules.search"]}
    parts: dict[str, Schema] = {
        part: {"$ref": f"#/$defs/{part}", "description": FIELD_DOCS[f"schedules.{part}"]}
        for part in OWN_PARTS
    }
    return {**parts, "search": search}


def any_schedule_schema() -> Schema:
    """A schedule with a kind, which decides the other keys."""
    return _by_kind("kind", "schedule", FIELD_DOCS["schedules.kind"])


def _by_kind(key: str, other: str, text: str) -> Schema:
    """A table whose ``key`` names its kind; it may not have the ``other`` one."""
    known = {"anyOf": [{"enum": list(SCHEDULES)}, {"type": "string", "pattern": OWN_PATTERN}]}
    chosen = [
        {
            "if": {"required": [key], "properties": {key: {"const": name}}},
            "then": {"$ref": f"#/$defs/schedule.{name}"},
        }
        for name in SCHEDULES
    ]
    properties = {key: known | {"description": text}, **_method_keys()}
    return {
        "type": "object",
        "not": {"required": [other]},
        "properties": properties,
        "allOf": chosen,
    }


def schedule_schema(component: Component) -> Schema:
    """A schedule of one kind."""
    values = {
        parameter.name: _searchable(parameter) | doc_of(parameter) for parameter in component.parameters
    }
    moves = {
        name: {"$ref": f"#/$defs/moved.{name}", "description": FIELD_DOCS[f"schedules.{name}"]}
        for name in MOVED_OPTIONS
        if refusal(component, name) is None
    }
    return {
        "type": "object",
        "description": " ".join(filter(None, (component.doc, component.source))),
        "additionalProperties": False,
        "required": required(component),
        "properties": {
            "kind": {"const": component.name},
            "schedule": {"const": component.name},
            **values,
            **moves,
            **_method_keys(),
        },
    }


def moved_schema(option: Component) -> Schema:
    """An option that moves beside the rate."""
    keys = {
        parameter.name.partition(".")[2]: _searchable(parameter) | doc_of(parameter)
        for parameter in option.parameters
    }
    return {
        "type": "object",
        "description": f"{option.doc} It moves beside the rate.",
        "additionalProperties": False,
        "anyOf": [{"required": ["from"]}, {"required": ["to"]}],
        "properties": keys,
    }


def doc_of(parameter: Parameter) -> Schema:
    """The description and the default of a parameter."""
    doc: Schema = {"description": f"{parameter.doc.rstrip('.')}."}
    if parameter.default is not REQUIRED and parameter.default is not None:
        default = parameter.default
        doc["default"] = list(default) if isinstance(default, tuple) else default
    return doc


def required(component: Component) -> list[str]:
    """Return the parameters without a default."""
    return [parameter.name for parameter in component.parameters if parameter.default is REQUIRED]


def _searchable(parameter: Parameter) -> Schema:
    """A fixed value, and where it may be searched, a range or a list of choices."""
    value = value_schema(parameter)
    if not parameter.tunable:
        return value
    spaces: list[Schema] = [{"type": "array", "minItems": 1, "uniqueItems": True, "items": value}]
    if parameter.type in ("float", "int"):
        number = _number(parameter)
        log = {"type": "boolean", "default": False, "description": "Search the logarithm."}
        end: Schema = number
        if parameter.type == "float":
            name = {"type": "string", "minLength": 1, "description": "Another parameter of this schedule."}
            end = {"anyOf": [number, name]}
        ends = {"low": end, "high": end, "log": log}
        spaces.append(
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["low", "high"],
                "properties": ends,
            }
        )
    if parameter.text_choices:
        spaces.append({"enum": list(parameter.text_choices)})
    return {"anyOf": [value, *spaces]}


def value_schema(parameter: Parameter) -> Schema:
    """The schema of one value of a parameter."""
    match parameter.type:
        case "bool":
            plain: Schema = {"type": "boolean"}
        case "text":
            plain = {"type": "string", "minLength": 1}
        case "choice":
            plain = {"enum": list(parameter.choices)}
        case "floats" | "ints":
            plain = {"type": "array", "items": _number(parameter)}
        case "float" | "int":
            plain = _number(parameter)
    return plain


def _number(parameter: Parameter) -> Schema:
    number: Schema = {"type": "integer" if parameter.type in ("int", "ints") else "number"}
    if math.isfinite(parameter.low):
        number["exclusiveMinimum" if parameter.open_low else "minimum"] = parameter.low
    if math.isfinite(parameter.high):
        number["exclusiveMaximum" if parameter.open_high else "maximum"] = parameter.high
    return number
