"""Reads ``[schedules.NAME]`` and ``[methods.NAME]``: a schedule, its own parts of the task and its search.

The two are the same table. A method names its schedule by the key ``schedule``, which a schedule calls
``kind``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lrstudy.catalog import RANGE_TEST, Component
from lrstudy.catalog.moved_options import MOVED_OPTIONS, find_parameter, flat_moves, move_problems
from lrstudy.catalog.schedule_kinds import OWN, SCHEDULES
from lrstudy.errors import NO_VALUE, all_known, did_you_mean
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.models import ComponentSpec, RangeTest, ScheduleSpec, TaskSpec
from lrstudy.spec.own_parts import OWN_PARTS, OwnPartsReader, searched_by_none
from lrstudy.spec.part_checks import OWN_NAME, require
from lrstudy.spec.search_tables import SearchReader
from lrstudy.spec.space import Choices, Range, Space, Trouble, read_value, reference_troubles

RATES: Final = ("max_lr", "lr")
"""The names by which a user's own schedule may call the rate that a range test finds."""

# Keys of the table that are no parameters of the schedule.
_KEYS: Final = ("kind", *OWN_PARTS, "search")


@dataclass(frozen=True, slots=True)
class ScheduleTable:
    """The raw table of a schedule or method, with the key of the table and of its kind."""

    name: str
    key: str
    kind_key: str
    values: Any


def schedule_tables(data: Mapping[str, Any], troubles: list[Trouble]) -> list[ScheduleTable]:
    """Return the tables of all schedules and methods of a study file, in its order."""
    tables: list[ScheduleTable] = []
    before = len(troubles)
    for section, kind_key in (("schedules", "kind"), ("methods", "schedule")):
        raw = data.get(section, {})
        if not isinstance(raw, dict):
            remedy = f"Write [{section}.NAME] for each of them."
            troubles.append(Trouble(section, "must be tables", remedy, raw))
            continue
        for name, values in raw.items():
            key = f"{section}.{name}"
            if any(table.name == name for table in tables):
                remedy = "Give one of the two another name."
                troubles.append(Trouble(key, "is the name of a schedule too", remedy, name))
                continue
            if isinstance(values, dict) and kind_key == "schedule":
                values = _as_schedule(key, values, troubles)
            tables.append(ScheduleTable(name, key, f"{key}.{kind_key}", values))
    if not tables and len(troubles) == before:
        remedy = "Add one, for example [schedules.fixed]."
        troubles.append(Trouble("schedules", "there is no schedule", remedy, None))
    return tables


def _as_schedule(key: str, values: dict[str, Any], troubles: list[Trouble]) -> dict[str, Any]:
    if "kind" in values:
        remedy = 'Write schedule = "…" in a method.'
        troubles.append(Trouble(f"{key}.kind", "is not a key of a method", remedy, values["kind"]))
    return {"kind" if name == "schedule" else name: value for name, value in values.items()}


class ScheduleReader:
    """Reads the tables of one study and adds what is wrong to ``troubles``.

    A rate that a range test finds gets the ends of the ``sweep`` until then. ``task`` is None if it is
    unusable; ``metric`` is the one that the study is judged by.
    """

    def __init__(
        self,
        task: TaskSpec | FunctionTask | None,
        metric: str,
        troubles: list[Trouble],
        sweep: RangeTest | None = None,
    ) -> None:
        self._task, self._troubles, self._sweep = task, troubles, sweep or RangeTest()
        self._search = SearchReader(task, metric, troubles)
        self._parts = OwnPartsReader(task, metric, troubles)

    def read(self, tables: list[ScheduleTable], search: Any) -> list[ScheduleSpec]:
        """Return the sound schedules; ``search`` is the study's ``[search]``, None if there is none."""
        shared = {} if search is None else self._search.shared(search)
        found = [spec for table in tables if (spec := self._schedule(table, shared)) is not None]
        if len(found) == len(tables):
            self._troubles.extend(searched_by_none(shared, found))
        return found

    def _schedule(self, table: ScheduleTable, shared: Mapping[str, Space]) -> ScheduleSpec | None:
        name, key, values, troubles = table.name, table.key, table.values, self._troubles
        if not isinstance(values, dict):
            troubles.append(Trouble(key, "must be a table", f"Write [{key}] and its keys below it.", values))
            return None
        if not name.strip() or len(name) > 100 or re.search(r"[\x00-\x1f\x7f]", name):
            troubles.append(Trouble(key, "is not a usable name", "Use 1 to 100 printable characters.", name))
            return None
        kind = values.get("kind", name)
        own = isinstance(kind, str) and OWN_NAME.fullmatch(kind) is not None
        if not own and (not isinstance(kind, str) or kind not in SCHEDULES):
            troubles.append(_unknown_kind(table, kind, given="kind" in values))
            return None
        component = None if own else SCHEDULES[kind]
        before = len(troubles)
        read = {
            k: self._value(key, k, v, component) for k, v in flat_moves(values, own=own) if k not in _KEYS
        }
        if component is not None:
            require(key, component, values, troubles)
        own_parts = self._parts.read(key, values)
        if component is not None and component.replaces_optimizer:
            self._check_replaced(key, component, own_parts.get("optimizer"))
        if len(troubles) > before:
            return None
        # A part that differs from the task's has its own space: what is searched for one means another
        # thing for the next.
        read |= {k: v for k, v in shared.items() if k.partition(".")[0] not in own_parts}
        if "search" in values:
            read |= self._search.of_method(key, values["search"], own_parts)
        space = {k: v for k, v in read.items() if isinstance(v, Range | Choices)}
        fixed = {k: v for k, v in read.items() if k not in space}
        troubles.extend(reference_troubles(key, space, fixed))
        troubles.extend(_move_troubles(key, component, space, fixed))
        if len(troubles) > before:
            return None
        optimizer, loss = (own_parts.get(part) for part in OWN_PARTS)
        return ScheduleSpec(name=name, kind=kind, fixed=fixed, space=space, optimizer=optimizer, loss=loss)

    def _check_replaced(self, key: str, component: Component, given: ComponentSpec | None) -> None:
        """Refuse an optimizer that a schedule with its own would leave out unnoticed."""
        optimizer = given or getattr(self._task, "optimizer", None)
        if optimizer is not None and optimizer.is_users_own:
            message = f"has no effect: {component.name!r} brings an optimizer in its place"
            remedy = f'Give it optimizer = {{ name = "adamw", … }}, or leave {component.name!r} out.'
            self._troubles.append(Trouble(f"{key}.optimizer", message, remedy, optimizer.name))

    def _value(self, key: str, name: str, raw: Any, component: Component | None) -> Any:
        """Return a parameter's value or space; None after adding what is wrong with it."""
        place = f"{key}.{name}"
        if raw == RANGE_TEST and _may_be_tested(name, component):
            return Range(self._sweep.low, self._sweep.high, log=True, tested=True)
        option = MOVED_OPTIONS.get(name.partition(".")[0])
        if option is not None and component is not None and "." not in name:
            message = "must be a table of what it moves from and to"
            remedy = f"Write {name} = {{ from = …, to = … }}; a constant one belongs to [task] optimizer."
            self._troubles.append(Trouble(place, message, remedy, raw))
            return None
        parameter = find_parameter(component or OWN, name)
        if "." in name and parameter is None and option is not None:
            hint = did_you_mean(name, [p.name for p in option.parameters])
            self._troubles.append(Trouble(place, f"is not a key of {option.name!r}", hint, raw))
            return None
        if "." in name and parameter is None:
            remedy = "Write it in the table search of this schedule."
            self._troubles.append(Trouble(place, "is not a parameter of a schedule", remedy, raw))
            return None
        if component is not None and parameter is None:
            known = [*(p.name for p in component.parameters), *MOVED_OPTIONS, *OWN_PARTS, "search"]
            hint = did_you_mean(name, known)
            self._troubles.append(Trouble(place, f"is not a parameter of {component.name!r}", hint, raw))
            return None
        value = read_value(place, raw, parameter)
        if isinstance(value, list):  # a list of Trouble: values and spaces are never lists
            self._troubles.extend(value)
            return None
        return value


def _move_troubles(
    key: str, component: Component | None, space: Mapping[str, Space], fixed: Mapping[str, Any]
) -> Iterator[Trouble]:
    # If only some configurations cycle the momentum, it moves twice in those.
    cycled = space.get("cycle_momentum")
    some = {"cycle_momentum": True} if isinstance(cycled, Choices) and True in cycled.values else {}
    for problem in move_problems(component, {**fixed, **some}, searched=space):
        value = None if problem.value is NO_VALUE else problem.value
        yield Trouble(f"{key}.{problem.key}", problem.message, problem.remedy, value)


def _may_be_tested(name: str, component: Component | None) -> bool:
    """Return True if a range test may find a parameter's range; in a user's schedule, for any rate."""
    parameter = component.parameter(name) if component is not None else None
    return name in RATES if component is None else parameter is not None and bool(parameter.text_choices)


def _unknown_kind(table: ScheduleTable, kind: Any, *, given: bool) -> Trouble:
    known = sorted(SCHEDULES)
    word = table.kind_key.rpartition(".")[2]
    if given:
        hint = did_you_mean(kind, known) if isinstance(kind, str) else all_known(known)
        hint = f'{hint} Your own: {word} = "module:attribute".'
        return Trouble(table.kind_key, "is not a schedule", hint, kind)
    hint = did_you_mean(str(kind), known)
    return Trouble(table.key, "is not a schedule", f'{hint} Or name one: {word} = "fixed".', kind)
