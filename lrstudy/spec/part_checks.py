"""Checks of a task's parts against the catalog: their names, their options, an optimizer's groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from lrstudy.catalog import REQUIRED, Component
from lrstudy.catalog.task_parts import DATASETS, LOSSES, MODELS, OPTIMIZERS, STREAMED, TORCHVISION
from lrstudy.errors import did_you_mean, with_article
from lrstudy.spec.models import ComponentSpec
from lrstudy.spec.space import Trouble

OWN_NAME: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""The name of users' own code, ``module:attribute``."""

PARTS: Final[Mapping[str, Mapping[str, Component]]] = MappingProxyType(
    {"dataset": {**DATASETS, **STREAMED}, "model": MODELS, "loss": LOSSES, "optimizer": OPTIMIZERS}
)
GROUPS: Final = "groups"
"""The optimizer's option that divides the parameters."""

_GROUP_EXAMPLE: Final = 'For example groups = [{ match = "*.bias", weight_decay = 0.0 }].'


def check_part(key: str, part: str, spec: ComponentSpec, troubles: list[Trouble]) -> None:
    """Check that a part exists and takes the options that it was given."""
    known, options = PARTS[part], dict(spec.options)
    if part == "optimizer" and GROUPS in options:
        check_groups(f"{key}.{GROUPS}", spec, options.pop(GROUPS), troubles)
    if is_open(spec.name):
        return
    if spec.name not in known:
        hint = did_you_mean(spec.name, sorted(known)) + ' Your own: "module:attribute".'
        troubles.append(Trouble(key, f"is not {with_article(part)}", hint, spec.name))
        return
    declared = known[spec.name]
    for name, value in options.items():
        _check_option(f"{key}.{name}", name, value, declared, troubles)
    require(key, declared, options, troubles)


def is_open(name: str) -> bool:
    """Return True if only the part's own code knows its options."""
    return name.startswith(TORCHVISION) or OWN_NAME.fullmatch(name) is not None


def check_groups(key: str, spec: ComponentSpec, raw: Any, troubles: list[Trouble]) -> None:
    """Check the form of an optimizer's groups; only a model shows which parameters they match."""
    if not isinstance(raw, list) or not raw:
        troubles.append(Trouble(key, "must be a list of tables", _GROUP_EXAMPLE, raw))
        return
    if spec.options.get("weight_decay_on", "all") != "all":
        message = "cannot be combined with weight_decay_on"
        remedy = "Leave weight_decay_on out and give weight_decay in the groups."
        troubles.append(Trouble(key, message, remedy, spec.options["weight_decay_on"]))
    for number, table in enumerate(raw):
        _check_group(f"{key}[{number}]", spec, table, troubles)


def _check_group(key: str, spec: ComponentSpec, table: Any, troubles: list[Trouble]) -> None:
    if not isinstance(table, dict):
        troubles.append(Trouble(key, "must be a table", _GROUP_EXAMPLE, table))
        return
    patterns = table.get("match")
    listed = patterns if isinstance(patterns, list) else [patterns]
    if not listed or not all(isinstance(pattern, str) and pattern for pattern in listed):
        remedy = 'Write match = "*.bias", or a list of such patterns of names of parameters.'
        troubles.append(Trouble(f"{key}.match", "must be a pattern or a list of patterns", remedy, patterns))
    name = table.get("optimizer", spec.name)
    if not isinstance(name, str) or not name:
        troubles.append(Trouble(f"{key}.optimizer", "must be a text", "Name an optimizer.", name))
        return
    options = {option: value for option, value in table.items() if option not in ("match", "optimizer")}
    if "optimizer" in table:
        check_part(f"{key}.optimizer", "optimizer", ComponentSpec(name=name, options={}), troubles)
    for option in ("weight_decay_on", GROUPS):
        if option in options:
            remedy = "Leave it out: the pattern decides which parameters the group holds."
            value = options.pop(option)
            troubles.append(Trouble(f"{key}.{option}", "is not an option of a group", remedy, value))
    if (declared := OPTIMIZERS.get(name)) is not None:
        for option, value in options.items():
            _check_option(f"{key}.{option}", option, value, declared, troubles)


def _check_option(key: str, name: str, value: Any, component: Component, troubles: list[Trouble]) -> None:
    parameter = component.parameter(name)
    if parameter is None:
        known = [p.name for p in component.parameters]
        hint = did_you_mean(name, known) if known else f"Leave it out: {component.name} has no options."
        troubles.append(Trouble(key, f"is not an option of {component.name!r}", hint, value))
    elif (message := parameter.problem(value)) is not None:
        troubles.append(Trouble(key, message, f"{parameter.doc.rstrip('.')}.", value))


def require(key: str, component: Component, given: Mapping[str, Any], troubles: list[Trouble]) -> None:
    """Check that every parameter without a default is given."""
    for parameter in component.parameters:
        if parameter.default is REQUIRED and parameter.name not in given:
            message = f"is missing; {component.name!r} needs it"
            troubles.append(
                Trouble(f"{key}.{parameter.name}", message, f"{parameter.doc.rstrip('.')}.", None)
            )
