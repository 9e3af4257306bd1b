"""The keys in which a changed study differs from the version that has a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lrstudy.rules.extension import NUMBERS, extend_commands
from lrstudy.rules.identity import deciding_part
from lrstudy.store.location import Location
from lrstudy.store.study_info import StudyInfo

# Further changes are counted, not listed.
MOST: Final = 12
_LONGEST: Final = 60
_ABSENT: Final = object()
# The values of keys that ``deciding_part`` leaves out.
_FEWEST: Final[Mapping[str, Any]] = {"replicates": 1, "until": "spent"}


def changes_between(before: StudyInfo, now: StudyInfo) -> list[str]:
    """One phrase per key that decides the trials and differs: the key, the old and the new value.

    Keys are written as in a study file. A schedule that came or went is one phrase.
    """
    old, new = _as_in_a_file(before), _as_in_a_file(now)
    found = list(_differences("", old, new))
    if before.name != now.name:
        found.insert(0, f"name: {_shown(before.name)} → {_shown(now.name)}")
    return found


def extension_between(before: StudyInfo, now: StudyInfo, study_file: str) -> list[tuple[str, int | str]]:
    """Return the options of ``lrstudy extend`` that make the change, each with its value; none if it cannot.

    ``study_file`` is where an added schedule is described; without one there is no option for it.
    """
    if before.name != now.name:
        return []
    old, new = _as_in_a_file(before), _as_in_a_file(now)
    budgets = old.pop("budget", {}), new.pop("budget", {})
    present, wanted = old.pop("schedules"), new.pop("schedules")
    whole = {schedule.name for schedule in now.schedules if schedule.length is None}
    added = [name for name in wanted if name not in present and name in whole]
    kept = {name: wanted.get(name) for name in present}
    if old != new or kept != present or (added and not study_file):
        return []
    numbers = _raised(*budgets)
    if numbers is None:
        return []
    return [*numbers, *(("schedules", f"{name}={study_file}") for name in added)]


def _raised(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, int | str]] | None:
    """Return the numbers of a budget that are higher now; None if something else differs."""
    raised: dict[str, int | str] = {}
    for key in dict.fromkeys([*old, *new]):
        was, value = old.get(key, _FEWEST.get(key)), new.get(key, _FEWEST.get(key))
        if was == value or (key == "until" and (was, value) == ("spent", "decided")):
            continue
        if f"budget.{key}" not in NUMBERS.values() or value is None or (was is not None and value < was):
            return None
        raised[key] = value
    decided = new.get("until") == "decided"
    # Only a fixed design gets more replicates; a study that runs until it is decided gets a higher cap.
    if "replicates" in raised and decided:
        return None
    return [(name, raised[name]) for name in NUMBERS if name in raised]


def listed_changes(changes: list[str]) -> str:
    """The changes in one line, the first ``MOST`` of them by name."""
    more = len(changes) - MOST
    return "; ".join([*changes[:MOST], *([f"and {more} more keys"] if more > 0 else [])])


def difference_text(
    folder: Location, before: StudyInfo, study: StudyInfo, study_file: str
) -> tuple[str, str]:
    """Return how the study of a store and the one to be written there differ, and the remedy."""
    if before.imported or study.imported:
        message = (
            f"belongs to the study {before.name!r}, which was made of other histories than {study.name!r}"
        )
        return message, "Choose another --out or --name, or delete the folder"
    changes = changes_between(before, study)
    keys = f"{len(changes)} {'key differs' if len(changes) == 1 else 'keys differ'} (there → now)"
    what = f"{keys}: {listed_changes(changes)}"
    if not changes:
        by = before.versions.get("lrstudy", "another version")
        what = f"no key differs, but lrstudy {by} wrote it and counted other keys"
    message = f"belongs to the study {before.name!r} as it was; {what}"
    if parts := extension_between(before, study, study_file):
        command = extend_commands(str(folder), parts)
        return message, f"To add what is missing to this run, whose trials stay as they are: {command}"
    remedy = (
        "Trials of two versions are never mixed. To run the changed study too, choose another --out or "
        f"another name; to continue the run as it began, undo the change or: lrstudy resume {folder}"
    )
    return message, remedy


def _as_in_a_file(study: StudyInfo) -> dict[str, Any]:
    """The deciding part of a study, each schedule's fixed values and spaces in one table again."""
    tested = any(schedule.range_tests for schedule in study.schedules)
    part = deciding_part(study.spec, range_tests=tested)
    part.pop("name", None)
    part["schedules"] = {
        schedule.name: {
            "kind": schedule.kind,
            **schedule.fixed,
            **schedule.space,
            **schedule.own_parts,
        }
        for schedule in study.schedules
    }
    return part


def _differences(key: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not _is_another(old, new):
        for name in dict.fromkeys([*old, *new]):
            inner = f"{key}.{name}" if key else str(name)
            yield from _differences(inner, old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif old is _ABSENT:
        yield f"{key}: added" if isinstance(new, Mapping) else f"{key}: not given → {_shown(new)}"
    elif new is _ABSENT:
        yield f"{key}: removed" if isinstance(old, Mapping) else f"{key}: {_shown(old)} → not given"
    elif old != new:
        yield f"{key}: {_shown(old)} → {_shown(new)}"


def _is_another(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return True if the two name different components: the options of two do not compare key by key."""
    return "name" in old and "name" in new and old["name"] != new["name"]


def _shown(value: Any) -> str:
    """A value as a study file has it, shortened."""
    if isinstance(value, Mapping):
        text = "{ " + ", ".join(f"{name} = {_shown(inner)}" for name, inner in value.items()) + " }"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
