"""The keys of a study file as a Markdown table, made from the models and their descriptions.

``python -m lrstudy.spec.key_table`` prints the tables that ``studies/README.md`` holds.
"""

from __future__ import annotations

import json
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from lrstudy.catalog.moved_options import MOVED_OPTIONS
from lrstudy.spec.field_docs import FIELD_DOCS
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.load import SECTIONS
from lrstudy.spec.own_parts import OWN_PARTS


def key_tables() -> str:
    """Return one Markdown table for each section of a study file, with every key, default and meaning."""
    sections = [_section(f"[{name}]", name, model) for name, model in SECTIONS.items()]
    function = _section("[task]` with `train", "function", FunctionTask)
    return "\n".join([_top_level(), sections[0], function, *sections[1:]])


def _top_level() -> str:
    rows = [_row(key, default, FIELD_DOCS[key]) for key, default in (("name", "required"), ("seed", "`0`"))]
    rows += [_row("schedules.NAME", "required", FIELD_DOCS["schedules"])]
    rows += [_row("schedules.NAME.kind", "NAME", FIELD_DOCS["schedules.kind"])]
    for key in (*MOVED_OPTIONS, *OWN_PARTS, "search"):
        rows += [_row(f"schedules.NAME.{key}", "", FIELD_DOCS[f"schedules.{key}"])]
    rows += [_row("methods.NAME", "", FIELD_DOCS["methods"])]
    rows += [_row("methods.NAME.schedule", "NAME", FIELD_DOCS["methods.schedule"])]
    rows += [_row("search", "", FIELD_DOCS["search"])]
    return _table(rows)


def _section(title: str, name: str, model: type[BaseModel]) -> str:
    fields = model.model_fields
    rows = [
        _row(
            key,
            "required" if field.is_required() else _default(field.default),
            FIELD_DOCS[f"{name}.{key}"] + _choices(field.annotation),
        )
        for key, field in fields.items()
    ]
    return f"**`{title}`**\n\n{_table(rows)}"


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | default | what it is |", "| --- | --- | --- |", *rows]) + "\n"


def _row(key: str, default: str, text: str) -> str:
    return f"| `{key}` | {default} | {text} |"


def _choices(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):  # a choice that may be left out
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is not Literal:
        return ""
    return f" One of {', '.join(f'`{choice}`' for choice in get_args(annotation))}."


def _default(value: Any) -> str:
    """Return a default as the study file writes it; nothing for one that means "not given"."""
    if value is None or value in ("", ()):
        return ""
    name, options = getattr(value, "name", None), getattr(value, "options", None)
    if name is None:
        return f"`{value:g}`" if isinstance(value, float) else f"`{json.dumps(value)}`"
    pairs = ", ".join(f"{key} = {json.dumps(option)}" for key, option in (options or {}).items())
    return f'`{{ name = "{name}", {pairs} }}`' if pairs else f'`"{name}"`'


if __name__ == "__main__":
    print(key_tables(), end="")
