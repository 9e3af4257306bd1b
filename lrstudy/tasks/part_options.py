"""Options of a task's parts: checked against the catalog, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrstudy.catalog import Component
from lrstudy.errors import Problem, StudyFileError, did_you_mean, with_article


def complete_options(
    part: str, name: str, given: Mapping[str, Any], known: Mapping[str, Component]
) -> tuple[Component, dict[str, Any]]:
    """Return the component of this name and all its options; ``part`` is its key in a study file.

    Raises ``StudyFileError`` for an unknown name or with every unusable option.
    """
    component = known.get(name)
    if component is None:
        hint = did_you_mean(name, sorted(known))
        raise StudyFileError(Problem("task", part, f"is not {with_article(part)}", hint, name))
    unknown = f"is not an option of {component.name!r}"
    problems = list(component.problems(given, "task", unknown, prefix=f"{part}."))
    if problems:
        raise StudyFileError(problems)
    return component, component.complete(given)
