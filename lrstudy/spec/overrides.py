"""``--set key.path=value``: changes to a study file from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from lrstudy.errors import Problem

_COMPONENTS = ("dataset", "model", "loss", "optimizer")
# What a study file that leaves these out means by them (the defaults of ``TaskSpec``).
_DEFAULTS: dict[str, dict[str, Any]] = {
    "loss": {"name": "cross-entropy"},
    "optimizer": {"name": "sgd", "lr": 0.1},
}
_WHERE = "--set"


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> list[Problem]:
    """Apply each ``key.path=value`` to the raw study in place; returns what could not be applied.

    The value is read as TOML; a bare word that is no TOML value is taken as text, so that
    ``task.model=paper-cnn`` needs no quotes inside quotes.
    """
    return [problem for override in overrides if (problem := _apply(data, override)) is not None]


def _apply(data: dict[str, Any], override: str) -> Problem | None:
    key, equals, text = override.partition("=")
    path = _split(key)
    if not equals or not path or not all(path):
        remedy = "Write --set key.path=value, for example --set budget.trials=8."
        return Problem(_WHERE, "", "has no key and value", remedy, override)
    table = data
    for depth, part in enumerate(path[:-1]):
        component = depth == 1 and path[0] == "task" and part in _COMPONENTS
        below = table.setdefault(part, dict(_DEFAULTS.get(part, {})) if component else {})
        if isinstance(below, str) and component:
            below = table[part] = {"name": below}
        if not isinstance(below, dict):
            place = ".".join(path[: depth + 1])
            return Problem(
                _WHERE, key.strip(), f"{place} is a value, not a table", "Set that value itself.", text
            )
        table = below
    table[path[-1]] = _value(text.strip())
    return None


def _split(key: str) -> list[str]:
    """The parts of a dotted key; a part in quotes may hold dots."""
    parts: list[str] = []
    current, quote = "", ""
    for character in key.strip():
        if quote:
            if character == quote:
                quote = ""
            else:
                current += character
        elif character in "\"'":
            quote = character
        elif character == ".":
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()]


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text
