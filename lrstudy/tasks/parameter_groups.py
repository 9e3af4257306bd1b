"""The division of a model's parameters into an optimizer's groups, by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from lrstudy.errors import Problem, StudyFileError

_SHOWN = 8  # names of parameters in a message


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Trainable parameters and the table of the study file that they belong to.

    ``number`` is the place of the table, None for the parameters that no pattern matches: they have the
    optimizer's own options.
    """

    number: int | None
    parameters: list[nn.Parameter]
    table: Mapping[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """The options that the group sets."""
        return {name: value for name, value in self.table.items() if name not in ("match", "optimizer")}


def divide(model: nn.Module, tables: Sequence[Mapping[str, Any]]) -> list[ParameterGroup]:
    """Return the groups that hold a parameter, each trainable parameter in exactly one.

    ``tables`` are those of ``groups`` in the study file: ``match`` is a pattern of ``fnmatch`` or a list of
    patterns. The parameters that none matches come first, then the groups in order.

    Raises:
        StudyFileError: if a parameter matches two groups, or a pattern no parameter.
    """
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if problems := list(_problems(names, tables)):
        raise StudyFileError(problems)
    divided: dict[int | None, list[nn.Parameter]] = {None: [], **{place: [] for place in range(len(tables))}}
    parameters = dict(model.named_parameters())
    for name in names:
        place = next((place for place, table in enumerate(tables) if _matches(name, table)), None)
        divided[place].append(parameters[name])
    return [
        ParameterGroup(place, members, {} if place is None else tables[place])
        for place, members in divided.items()
        if members
    ]


def _problems(names: Sequence[str], tables: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    known = ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])
    for place, table in enumerate(tables):
        for pattern in _patterns(table):
            if not any(fnmatchcase(name, pattern) for name in names):
                key = f"optimizer.groups[{place}].match"
                remedy = f"The trainable parameters are {known}."
                yield Problem("task", key, "matches no parameter of the model", remedy, pattern)
    for name in names:
        places = [place for place, table in enumerate(tables) if _matches(name, table)]
        if len(places) > 1:
            key = f"optimizer.groups[{places[1]}].match"
            message = f"matches {name}, which group {places[0]} matches too (counted from 0)"
            remedy = "Let each parameter match one group."
            yield Problem("task", key, message, remedy, tables[places[1]]["match"])


def _matches(name: str, table: Mapping[str, Any]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _patterns(table))


def _patterns(table: Mapping[str, Any]) -> Sequence[str]:
    match = table["match"]
    return [match] if isinstance(match, str) else match
