"""Reading a study file: TOML to ``Study``, or every problem of it at once."""

from __future__ import annotations

import codecs
import copy
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lrstudy.errors import Problem, StudyFileError, did_you_mean
from lrstudy.safe_text import can_be_encoded
from lrstudy.spec.checks import (
    check_clock,
    check_decay,
    check_metric_fits,
    check_pruner,
    check_range_test,
    check_target,
    check_task,
    check_task_fits,
    check_tested,
    check_workers,
    default_metric,
)
from lrstudy.spec.cost_section import check_cost
from lrstudy.spec.function_task import FunctionTask, check_function_task
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.spec.lengths import at_lengths, budget_of_lengths, with_longest
from lrstudy.spec.models import (
    Budget,
    Cost,
    Faults,
    Logging,
    RangeTest,
    Resources,
    ScheduleSpec,
    Study,
    Target,
    TaskSpec,
)
from lrstudy.spec.overrides import apply_overrides
from lrstudy.spec.own_parts import OWN_PARTS
from lrstudy.spec.schedule_tables import ScheduleReader, schedule_tables
from lrstudy.spec.space import Trouble
from lrstudy.spec.study_file_lines import problem_of
from lrstudy.spec.validation_errors import section_problems
from lrstudy.spec.verdict_settings import complete_budget, complete_target

# The tables of a study file but for the schedules, each with its model.
SECTIONS: Mapping[str, type[BaseModel]] = {
    "task": TaskSpec,
    "budget": Budget,
    "target": Target,
    "resources": Resources,
    "faults": Faults,
    "logging": Logging,
    "range_test": RangeTest,
    "cost": Cost,
}
# What a store of a version without these settings was run with.
BEFORE_REPLICATES: Mapping[str, Mapping[str, Any]] = {
    "budget": {"common_seed": False, "stop": "never"},
    "target": {"arrival": "first"},
}
_TOP_LEVEL = ("name", "seed", *SECTIONS, "schedules", "methods", "search")


def _encoding_problem(where: str, content: bytes, place: int) -> Problem:
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:2]
    message = "is UTF-16, not UTF-8" if wide else f"is not UTF-8 (byte {place})"
    return Problem(where, "", message, "Save the file as UTF-8; TOML allows nothing else.")


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study file, with ``key.path=value`` overrides applied first.

    Raises ``StudyFileError`` with every problem found. Nothing heavy is imported and nothing written.
    """
    where = str(path)
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")  # some editors mark UTF-8 at the front
    except FileNotFoundError:
        raise StudyFileError(_no_file(path)) from None
    except IsADirectoryError:
        remedy = "Name the study file itself, for example studies/digits.toml."
        raise StudyFileError(Problem(where, "", "is a folder, not a study file", remedy)) from None
    except UnicodeDecodeError as error:
        raise StudyFileError(_encoding_problem(where, content, error.start)) from None
    except OSError as error:
        problem = Problem(
            where, "", f"cannot be read: {error.strerror}", "Check the path and its permissions."
        )
        raise StudyFileError(problem) from None
    if "\0" in text[:2]:  # UTF-16 of Latin letters passes for UTF-8
        raise StudyFileError(_encoding_problem(where, content, text.index("\0")))
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(_syntax_problem(where, error)) from None
    return parse_study(raw, where, overrides, text)


def parse_study(raw: Mapping[str, Any], where: str, overrides: Sequence[str] = (), text: str = "") -> Study:
    """Check a study given as plain data; ``where`` names its origin in messages.

    ``text``, where there is one, is the TOML source: problems then carry the line of their key.
    """
    data = copy.deepcopy(dict(raw))
    problems = apply_overrides(data, overrides)
    if broken := [problem_of(where, trouble, text) for trouble in _unreadable_troubles(data)]:
        raise StudyFileError(broken)  # nothing else can be said of such a text
    sections: dict[str, Any] = {}
    troubles = [*_top_level_troubles(data)]
    for key, declared in SECTIONS.items():
        value = data.get(key, {})
        if not isinstance(value, dict):
            troubles.append(Trouble(key, "must be a table", f"Write [{key}] and its keys below it.", value))
            continue
        model = FunctionTask if key == "task" and "train" in value else declared
        if key == "task":
            value = with_longest(value)
        try:
            sections[key] = model.model_validate(value)
        except ValidationError as error:
            troubles.extend(section_problems(key, model, error))
    if "range_test" in sections:
        check_range_test(sections["range_test"], troubles)
    if {"cost", "resources"} <= sections.keys():
        check_cost(sections["cost"], sections["resources"], troubles)
    task = sections.get("task")
    if isinstance(task, TaskSpec):
        sections["task"] = check_task(task, troubles)
        if "resources" in sections:
            check_task_fits(task, sections["resources"], troubles)
    elif task is not None:
        check_function_task(task, troubles)
        if "resources" in sections:
            check_workers(sections["resources"], troubles)
        if "budget" in sections:
            check_pruner(task, sections["budget"], troubles)
    if "target" in sections:
        sections["target"] = default_metric(sections["target"], data.get("target"), task)
    metric = sections["target"].metric if "target" in sections else ""
    tables = schedule_tables(data, troubles)
    reader = ScheduleReader(task, metric, troubles, sections.get("range_test"))
    schedules = reader.read(tables, data.get("search"))
    if {"task", "budget", "range_test"} <= sections.keys():
        check_tested(schedules, sections["range_test"], sections["budget"], sections["task"], troubles)
    if isinstance(task, TaskSpec):
        check_decay(schedules, task, troubles)
    if "target" in sections:
        names = [table.name for table in tables]
        sections["target"] = check_target(sections["target"], schedules, names, troubles, task)
        sections["target"] = complete_target(sections["target"], task, troubles)
        if isinstance(task, TaskSpec):
            check_metric_fits(task, sections["target"], troubles)
        if task is not None and "resources" in sections:
            check_clock(task, sections["target"], sections["resources"], troubles)
    schedules = at_lengths(schedules, task, troubles)
    if "budget" in sections:
        sections["budget"] = budget_of_lengths(sections["budget"], task, troubles)
        sections["budget"] = complete_budget(sections["budget"], sections.get("target"), troubles)
    problems += [problem_of(where, trouble, text) for trouble in troubles]
    if problems:
        raise StudyFileError(problems)
    complete: tuple[ScheduleSpec, ...] = tuple(schedules)
    return Study(name=data["name"], seed=data.get("seed", 0), schedules=complete, **sections)


def restore_study(stored: Mapping[str, Any], where: str) -> Study:
    """The study that ``Study.to_json`` wrote down; raises ``StudyFileError`` where it fits no longer."""
    data = {key: _without_null(value) for key, value in stored.items() if key in _TOP_LEVEL}
    for section, settings in BEFORE_REPLICATES.items():
        data[section] = {**settings, **data.get(section, {})}
    data["schedules"] = {
        name: _restored(entry)
        for name, entry in stored.get("schedules", {}).items()
        if "length" not in entry  # parsing adds those at shorter lengths again
    }
    return parse_study(data, where)


def _restored(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The table of a schedule, from ``ScheduleSpec.to_store``."""
    values = {**entry.get("fixed", {}), **entry.get("space", {})}
    own = {name: value for name, value in values.items() if not is_of_task(name)}
    search = {name: value for name, value in values.items() if is_of_task(name)}
    table = {"kind": entry["kind"], **own} | ({"search": search} if search else {})
    return table | {part: entry[part] for part in OWN_PARTS if part in entry}


def _without_null(value: Any) -> Any:
    """TOML has no null: what JSON says with one is left out."""
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return value


def _unreadable_troubles(value: Any, key: str = "") -> Iterator[Trouble]:
    """Names and texts from a command line or a program that no file could hold."""
    remedy = "Use characters that UTF-8 has."
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{key}.{name}" if key else str(name)
            if isinstance(name, str) and not can_be_encoded(name):
                yield Trouble(path, "is no name in UTF-8", remedy, None)
            yield from _unreadable_troubles(inner, path)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _unreadable_troubles(inner, f"{key}[{number}]")
    elif isinstance(value, str) and not can_be_encoded(value):
        yield Trouble(key, "is no text in UTF-8", remedy, value)


def _top_level_troubles(data: Mapping[str, Any]) -> Iterator[Trouble]:
    for key in data:
        if key not in _TOP_LEVEL:
            yield Trouble(key, "is not a key of a study file", did_you_mean(key, _TOP_LEVEL), data[key])
    name = data.get("name")
    if name is None:
        yield Trouble("name", "is missing", 'Write name = "my-study"; it names the run folder.', None)
    elif not isinstance(name, str) or not name.strip() or len(name.encode()) > 200:
        yield Trouble("name", "must be a text of 1 to 200 bytes", "It names the run folder.", name)
    elif name in (".", "..") or name.startswith(".") or re.search(r"[/\\\x00-\x1f\x7f]", name):
        remedy = "Leave out slashes, control characters and a leading dot."
        yield Trouble("name", "cannot name a folder", remedy, name)
    seed = data.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        yield Trouble("seed", "must be a whole number from 0 to 2^63 - 1", "For example seed = 0.", seed)


def _no_file(path: Path) -> Problem:
    folder = path.parent if path.parent.is_dir() else Path()
    here = sorted(str(found) for found in folder.glob("*.toml"))
    hint = did_you_mean(str(path), here) if here else "Write one with `lrstudy init`."
    return Problem(str(path), "", "there is no such file", hint)


def _syntax_problem(where: str, error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    match = re.search(r"line (\d+)", message)
    line = int(match[1]) if match else None
    message = re.sub(r"\s*\(at (line \d+, column (\d+)|end of document)\)", _column, message)
    return Problem(where, "", f"is not valid TOML: {message}", "Correct the syntax there.", line=line)


def _column(match: re.Match[str]) -> str:
    return f" (column {match[2]})" if match[2] else " (at the end of the file)"
