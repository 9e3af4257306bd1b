"""The study file's JSON Schema (draft 2020-12), from the same declarations that check it.

Editors complete and check study files with it. What only the whole file shows (a reference that is not a
schedule, a metric that does not fit the loss) is left to ``lrstudy validate``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from lrstudy.catalog import REQUIRED, Component, Parameter
from lrstudy.catalog.moved_options import MOVED_OPTIONS, refusal
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.catalog.task_parts import (
    AUGMENTATIONS,
    DATASETS,
    LOSSES,
    MODELS,
    NORMALIZATIONS,
    OPTIMIZERS,
    TORCHVISION,
)
from lrstudy.catalog.torchvision_names import TORCHVISION_MODELS
from lrstudy.rules.metrics import METRICS
from lrstudy.spec.field_docs import FIELD_DOCS
from lrstudy.spec.load import SECTIONS

_OWN: Final = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"
_Schema = dict[str, Any]


def study_schema() -> _Schema:
    """The JSON Schema of a study file as plain data."""
    sections = {name: _section(name, model) for name, model in SECTIONS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lrstudy study file",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "task", "schedules"],
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
            "schedules": _schedules(),
        },
        "$defs": {
            "schedule": _any_schedule(),
            **{f"schedule.{name}": _schedule(component) for name, component in SCHEDULES.items()},
            **{f"moved.{name}": _moved(option) for name, option in MOVED_OPTIONS.items()},
        },
    }


def _section(name: str, model: type[BaseModel]) -> _Schema:
    schema = model.model_json_schema()
    properties: dict[str, _Schema] = {}
    for field, declared in schema["properties"].items():
        kept = {key: value for key, value in declared.items() if key not in ("title", "default", "$ref")}
        if "default" in declared and declared["default"] is not None and not _is_component(declared):
            kept["default"] = declared["default"]
        properties[field] = _special(name, field, kept) | {"description": FIELD_DOCS[f"{name}.{field}"]}
    text = (model.__doc__ or "").partition("\n\n")[0]
    section: _Schema = {
        "type": "object",
        "description": " ".join(text.split()),
        "additionalProperties": False,
        "properties": properties,
    }
    return section | ({"required": schema["required"]} if "required" in schema else {})


def _is_component(declared: Mapping[str, Any]) -> bool:
    return "ComponentSpec" in str(declared)


def _special(section: str, field: str, plain: _Schema) -> _Schema:
    """Add what the field's own type does not say: the names that the catalog knows."""
    match section, field:
        case "task", "dataset":
            return _part(DATASETS, own=True)
        case "task", "model":
            return _part(MODELS, own=True, others=[f"{TORCHVISION}{name}" for name in TORCHVISION_MODELS])
        case "task", "loss":
            return _part(LOSSES)
        case "task", "optimizer":
            return _part(OPTIMIZERS)
        case "task", "augment":
            names = "|".join(AUGMENTATIONS)
            return {"type": "array", "items": {"type": "string", "pattern": f"^({names})(:.+)?$"}}
        case "task", "normalize":
            return {"enum": list(NORMALIZATIONS)}
        case "target", "metric":
            return {"enum": [name for name in METRICS if name.startswith("val_")], "default": "val_accuracy"}
        case "target", "values":
            return {"type": "array", "minItems": 1, "items": {"type": "number"}}
    # TOML has no null: a field that may be left out is left out.
    alternatives = [entry for entry in plain.get("anyOf", []) if entry != {"type": "null"}]
    if len(alternatives) == 1:
        (one,) = alternatives
        return {**{key: value for key, value in plain.items() if key != "anyOf"}, **one}
    return plain


def _part(known: Mapping[str, Component], *, own: bool = False, others: list[str] | None = None) -> _Schema:
    """A part of the task: a name, or a table with a name and options."""
    names = [*known, *(others or [])]
    simple = [name for name in names if name not in known or not _required(known[name])]
    # A name of torchvision's looks like one's own, and is known.
    anything = {"type": "string", "pattern": _OWN.replace("^", f"^(?!{TORCHVISION})")}
    tables = [_table(component) for component in known.values()]
    open_name: list[_Schema] = [{"enum": others}] if others else []
    if own:
        open_name.append(anything)
    if open_name:
        tables.append({"type": "object", "required": ["name"], "properties": {"name": {"anyOf": open_name}}})
    return {"anyOf": [{"enum": simple}, *([anything] if own else []), *tables]}


def _table(component: Component) -> _Schema:
    options = {parameter.name: _value(parameter) | _doc(parameter) for parameter in component.parameters}
    return {
        "type": "object",
        "description": component.doc,
        "additionalProperties": False,
        "required": ["name", *_required(component)],
        "properties": {"name": {"const": component.name}, **options},
    }


def _required(component: Component) -> list[str]:
    return [parameter.name for parameter in component.parameters if parameter.default is REQUIRED]


def _schedules() -> _Schema:
    """Any names with a kind; a schedule that is called as a kind needs none."""
    kinds: dict[str, _Schema] = {
        name: {
            "description": component.doc,
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
        "patternProperties": {_OWN: {"type": "object"}},
        "additionalProperties": {"$ref": "#/$defs/schedule", "required": ["kind"]},
    }


def _any_schedule() -> _Schema:
    kind = {
        "anyOf": [{"enum": list(SCHEDULES)}, {"type": "string", "pattern": _OWN}],
        "description": FIELD_DOCS["schedules.kind"],
    }
    chosen = [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": name}}},
            "then": {"$ref": f"#/$defs/schedule.{name}"},
        }
        for name in SCHEDULES
    ]
    return {"type": "object", "properties": {"kind": kind}, "allOf": chosen}


def _schedule(component: Component) -> _Schema:
    values = {parameter.name: _searchable(parameter) | _doc(parameter) for parameter in component.parameters}
    moves = {
        name: {"$ref": f"#/$defs/moved.{name}", "description": FIELD_DOCS[f"schedules.{name}"]}
        for name in MOVED_OPTIONS
        if refusal(component, name) is None
    }
    return {
        "type": "object",
        "description": " ".join(filter(None, (component.doc, component.source))),
        "additionalProperties": False,
        "required": _required(component),
        "properties": {"kind": {"const": component.name}, **values, **moves},
    }


def _moved(option: Component) -> _Schema:
    keys = {
        parameter.name.partition(".")[2]: _searchable(parameter) | _doc(parameter)
        for parameter in option.parameters
    }
    return {
        "type": "object",
        "description": f"{option.doc} It moves beside the rate.",
        "additionalProperties": False,
        "anyOf": [{"required": ["from"]}, {"required": ["to"]}],
        "properties": keys,
    }


def _doc(parameter: Parameter) -> _Schema:
    doc: _Schema = {"description": f"{parameter.doc.rstrip('.')}."}
    if parameter.default is not REQUIRED and parameter.default is not None:
        default = parameter.default
        doc["default"] = list(default) if isinstance(default, tuple) else default
    return doc


def _searchable(parameter: Parameter) -> _Schema:
    """A fixed value, and where it may be searched, a range or a list of choices."""
    value = _value(parameter)
    if not parameter.tunable:
        return value
    spaces: list[_Schema] = [{"type": "array", "minItems": 1, "uniqueItems": True, "items": value}]
    if parameter.type in ("float", "int"):
        number = _number(parameter)
        log = {"type": "boolean", "default": False, "description": "Search the logarithm."}
        end: _Schema = number
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


def _value(parameter: Parameter) -> _Schema:
    match parameter.type:
        case "bool":
            plain: _Schema = {"type": "boolean"}
        case "text":
            plain = {"type": "string", "minLength": 1}
        case "choice":
            plain = {"enum": list(parameter.choices)}
        case "floats" | "ints":
            plain = {"type": "array", "items": _number(parameter)}
        case "float" | "int":
            plain = _number(parameter)
    return plain


def _number(parameter: Parameter) -> _Schema:
    number: _Schema = {"type": "integer" if parameter.type in ("int", "ints") else "number"}
    if math.isfinite(parameter.low):
        number["exclusiveMinimum" if parameter.open_low else "minimum"] = parameter.low
    if math.isfinite(parameter.high):
        number["exclusiveMaximum" if parameter.open_high else "maximum"] = parameter.high
    return number
