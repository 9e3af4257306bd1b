"""Options of a task's parts: checked against the catalog, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrstudy.catalog import Component
from lrstudy.errors import Problem, StudyFileError, did_you_mean, with_article

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import ComponentSpec


def complete_options(
    part: str, spec: ComponentSpec, known: Mapping[str, Component]
) -> tuple[Component, dict[str, Any]]:
    """Return the component that ``spec`` names and all its options; ``part`` is its key in a study file.

    Raises ``StudyFileError`` for an unknown name or with every unusable option.
    """
    component = known.get(spec.name)
    if component is None:
        hint = did_you_mean(spec.name, sorted(known))
        raise StudyFileError(Problem("task", part, f"is not {with_article(part)}", hint, spec.name))
    unknown = f"is not an option of {component.name!r}"
    problems = list(component.problems(spec.options, "task", unknown, prefix=f"{part}."))
    if problems:
        raise StudyFileError(problems)
    return component, component.complete(spec.options)
