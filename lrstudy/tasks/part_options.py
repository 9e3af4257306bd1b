"""Options of a task's parts: checked against the catalog, defaults filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lrstudy.catalog import REQUIRED, Component
from lrstudy.errors import Problem, StudyFileError, did_you_mean, with_article

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import ComponentSpec


def complete_options(
    part: str, spec: ComponentSpec, known: Mapping[str, Component]
) -> tuple[Component, dict[str, Any]]:
    """The component that ``spec`` names and all its options; ``part`` is its key in a study file.

    Raises ``StudyFileError`` for an unknown name or with every unusable option.
    """
    component = known.get(spec.name)
    if component is None:
        hint = did_you_mean(spec.name, sorted(known))
        raise StudyFileError(Problem("task", part, f"is not {with_article(part)}", hint, spec.name))
    problems = list(_problems(part, component, spec.options))
    if problems:
        raise StudyFileError(problems)
    return component, {p.name: spec.options.get(p.name, p.default) for p in component.parameters}


def _problems(part: str, component: Component, options: Mapping[str, Any]) -> Iterator[Problem]:
    known = [parameter.name for parameter in component.parameters]
    for name, value in options.items():
        parameter = component.parameter(name)
        if parameter is None:
            hint = did_you_mean(name, known) if known else f"{component.name} has no options."
            yield Problem("task", f"{part}.{name}", f"is not an option of {component.name!r}", hint, value)
        elif (message := parameter.problem(value)) is not None:
            yield Problem("task", f"{part}.{name}", message, f"{parameter.doc}.", value)
    for parameter in component.parameters:
        if parameter.default is REQUIRED and parameter.name not in options:
            yield Problem("task", f"{part}.{parameter.name}", "is missing", f"{parameter.doc}.")
