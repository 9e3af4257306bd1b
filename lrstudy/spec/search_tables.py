"""Reads ``[search]`` and the ``search`` tables of methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from lrstudy.errors import did_you_mean
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.hyperparameters import FUNCTION_OPTIONS, FUNCTION_PARAMS
from lrstudy.spec.models import TaskSpec
from lrstudy.spec.searched_values import (
    NO_PARTS,
    SEARCHED_PARTS,
    TASK_KEYS,
    OwnParts,
    parameter_of,
    part_of,
)
from lrstudy.spec.space import Choices, Range, Space, Trouble, read_value

_SAME_ROWS: Final = "it decides which rows a trial sees and is judged on, and those are the same for all"
_SAME_LENGTH: Final = "the length of a training is the budget of a trial, the same for all"
_SAME_JUDGE: Final = "it decides how a trial is judged, and that is the same for all"
# The reasons why keys of [task] cannot be searched.
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("dataset", "validation", "test", "rows"), _SAME_ROWS),
        **dict.fromkeys(("epochs", "steps", "steps_per_epoch"), _SAME_LENGTH),
        **dict.fromkeys(("divergence", "metrics", "evaluate_every"), _SAME_JUDGE),
        "lr": "the rate is the schedule's",
        "train": "another training is another task",
        "optimizer": "optimizers are compared as methods, each with a table [methods.NAME]",
        "optimizer.name": "optimizers are compared as methods, each with a table [methods.NAME]",
        "optimizer.lr": "the rate is the schedule's",
        "optimizer.groups": "the groups of parameters are the same for all trials of a method",
        "model": "another model is another task",
        "model.name": "another model is another task",
        "loss": "losses are compared as methods, each with a table [methods.NAME]",
        "loss.name": "losses are compared as methods, each with a table [methods.NAME]",
    }
)
_OTHER: Final = "it is the same for all trials of a study"
_REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lr": "Search the rate under [schedules.NAME].",
        "optimizer.lr": "Search the rate under [schedules.NAME].",
        "optimizer": 'Write [methods.NAME], schedule = "…" and optimizer = { name = "…", … }.',
        "optimizer.name": 'Write [methods.NAME], schedule = "…" and optimizer = { name = "…", … }.',
        "loss": 'Write [methods.NAME], schedule = "…" and loss = { name = "…", … }.',
        "loss.name": 'Write [methods.NAME], schedule = "…" and loss = { name = "…", … }.',
    }
)
_LEAVE_OUT: Final = "Leave it out, or compare two studies."
_Entry = tuple[str, str, Any]  # the key in the study file, the name, the value


class SearchReader:
    """Reads the tables of one study and adds what is wrong to ``troubles``.

    ``task`` is None if the task itself is unusable: then only the form of an entry is checked. ``metric`` is
    the one that the study is judged by.
    """

    def __init__(self, task: TaskSpec | FunctionTask | None, metric: str, troubles: list[Trouble]) -> None:
        self._task, self._metric, self._troubles = task, metric, troubles

    def shared(self, raw: Any) -> dict[str, Space]:
        """Return the spaces of ``[search]``."""
        found: dict[str, Space] = {}
        for key, name, value in self._entries("search", raw, NO_PARTS):
            if isinstance(value, Range | Choices):
                found[name] = value
            else:
                remedy = "Give a range or a list of choices; a fixed value belongs under [task]."
                self._refuse(key, "is one value: there is nothing to search", remedy, value)
        return found

    def of_method(self, key: str, raw: Any, own_parts: OwnParts) -> dict[str, Any]:
        """Return the spaces of a method's ``search`` table, and the values that it fixes.

        ``own_parts`` are the method's, in place of the task's.
        """
        return {name: value for _, name, value in self._entries(f"{key}.search", raw, own_parts)}

    def _entries(self, key: str, raw: Any, own_parts: OwnParts) -> Iterator[_Entry]:
        """Yield the entries that can be used."""
        if not isinstance(raw, dict):
            example = '"optimizer.weight_decay" = { low = 1e-6, high = 1e-2, log = true }'
            self._refuse(key, "must be a table", f"Write [{key}] and below it {example}.", raw)
            return
        names: set[str] = set()
        for given, value in _flat(raw):
            place = f"{key}.{given}"
            name = self._name(place, given, value, own_parts)
            if name in names:
                self._refuse(place, "is given twice", "Give it once.", value)
            elif name is not None:
                names.add(name)
                read = self._read(place, name, value, own_parts)
                if read is not None:
                    yield place, name, read

    def _read(self, key: str, name: str, raw: Any, own_parts: OwnParts) -> Any:
        parameter = None if self._task is None else parameter_of(name, self._task, own_parts)
        # ``tunable`` is about the parameter's own table, in which a space has no place.
        value = read_value(key, raw, None if parameter is None else replace(parameter, tunable=True))
        if isinstance(value, list):  # a list of Trouble: values and spaces are never lists
            self._troubles.extend(value)
            return None
        if isinstance(value, Range) and value.names:
            message = "ends at another parameter, which only the range of a schedule's parameter can"
            self._refuse(key, message, "Give numbers.", raw)
            return None
        return value

    def _name(self, key: str, given: str, raw: Any, own_parts: OwnParts) -> str | None:
        """Return the name by which a value is known everywhere; None for one that cannot be searched."""
        if self._task is None:
            return given
        if isinstance(self._task, FunctionTask):
            return self._name_for_function(key, given, raw)
        # The optimizer is at task.optimizer, and known as optimizer.
        place, _, option = given.removeprefix("task.").partition(".")
        if place in SEARCHED_PARTS and option and f"{place}.{option.partition('.')[0]}" not in _REASONS:
            return self._name_of_option(key, place, option, raw, own_parts)
        field = given.removeprefix("task.") if place not in SEARCHED_PARTS else place
        if given.startswith("task.") and field in TASK_KEYS:
            if getattr(self._task, field) is not None:
                return given
            # The columns of a store are those of the study's own task.
            message = "cannot be searched: it is not in effect in the study's task"
            self._refuse(key, message, f"Give {field} a value under [task] too.", raw)
            return None
        close = [known for known in self._known(own_parts) if known.partition(".")[2] == given]
        if close:
            self._refuse(key, "has no place in front", f"Write {' or '.join(map(repr, close))}.", raw)
        else:
            full = (
                f"{place}.{option.partition('.')[0]}"
                if place in SEARCHED_PARTS and option
                else field.split(".")[0]
            )
            self._refuse_field(key, full, given, raw, self._known(own_parts))
        return None

    def _name_of_option(self, key: str, place: str, option: str, raw: Any, own_parts: OwnParts) -> str | None:
        assert self._task is not None
        if place == "loss" and self._metric == "val_loss":
            message = "cannot be searched: it changes what val_loss measures, which the study is judged by"
            self._refuse(key, message, "Judge by another metric, such as val_accuracy or val_r2.", raw)
            return None
        part = part_of(place, self._task, own_parts)
        assert part is not None
        component = SEARCHED_PARTS[place].get(part.name)
        if component is None or component.parameter(option) is not None:
            return f"{place}.{option}"
        known = [parameter.name for parameter in component.parameters]
        hint = did_you_mean(option, known) if known else f"Leave it out: {part.name} has no options."
        self._refuse(key, f"is not an option of {part.name!r}", hint, raw)
        return None

    def _name_for_function(self, key: str, given: str, raw: Any) -> str | None:
        """Return the name of a value for a user's own training function: an option, or a plain name."""
        if given != "lr" and "." not in given:
            return f"{FUNCTION_PARAMS}{given}"
        known = (FUNCTION_OPTIONS, FUNCTION_PARAMS)
        if any(given.startswith(prefix) and "." not in given.removeprefix(prefix) for prefix in known):
            return given
        field = given.removeprefix("task.").partition(".")[0]
        if field in _REASONS and (given == "lr" or given.startswith("task.")):
            self._refuse_field(key, field, given, raw, known)
        else:
            message = "is not a value that the training function gets"
            remedy = "Write a plain name, which is in trial.params, or task.options.NAME."
            self._refuse(key, message, remedy, raw)
        return None

    def _refuse_field(self, key: str, field: str, given: str, raw: Any, known: Sequence[str]) -> None:
        fields = () if self._task is None else type(self._task).model_fields
        if field in _REASONS or field in fields:
            message = f"cannot be searched: {_REASONS.get(field, _OTHER)}"
            self._refuse(key, message, _REMEDIES.get(field, _LEAVE_OUT), raw)
        else:
            self._refuse(key, "is not a value that can be searched", did_you_mean(given, known), raw)

    def _known(self, own_parts: OwnParts) -> list[str]:
        """Return the names of all values that can be searched, as far as the catalog knows them."""
        assert self._task is not None
        known = [f"task.{name}" for name in TASK_KEYS]
        for place, components in SEARCHED_PARTS.items():
            part = part_of(place, self._task, own_parts)
            component = None if part is None else components.get(part.name)
            options = component.parameters if component is not None else ()
            known += [f"{place}.{option.name}" for option in options if option.name != "lr"]
        return known

    def _refuse(self, key: str, message: str, remedy: str, raw: Any) -> None:
        self._troubles.append(Trouble(key, message, remedy, raw))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and their values: TOML reads a name with unquoted dots as tables in tables."""
    for name, value in table.items():
        if isinstance(value, dict) and value and not value.keys() & {"low", "high", "log"}:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
