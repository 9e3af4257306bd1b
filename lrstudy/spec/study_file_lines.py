"""The lines of a study file that problems are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lrstudy.errors import NO_VALUE, InputError, Problem
from lrstudy.spec.space import Trouble


def locate(problem: Problem, path: Path) -> Problem:
    """Return a problem of a study's parts with its study file, key and line, where it has them.

    Such a problem's ``where`` is ``"task"``, ``"study"`` or ``"schedules.NAME"``.
    """
    section = "" if problem.where == "study" else problem.where
    if section and section.partition(".")[0] not in ("task", "schedules"):
        return problem
    key = ".".join(filter(None, (section, problem.key)))
    text = path.read_text(encoding="utf-8", errors="replace")
    line = _line_of(key, text)
    if line is None and section.startswith("schedules."):  # a method, then
        method = key.replace("schedules.", "methods.", 1)
        line = _line_of(method, text)
        key = key if line is None else method
    return replace(problem, where=str(path), key=key, line=line)


@contextmanager
def located_in(path: Path) -> Iterator[None]:
    """Let problems of a study's parts that are raised in the block name their place in the study file."""
    try:
        yield
    except InputError as error:
        raise type(error)(locate(problem, path) for problem in error.problems) from error


def problem_of(where: str, trouble: Trouble, text: str) -> Problem:
    """Return the problem of a key, with its line in the study file's ``text`` where there is one."""
    value = NO_VALUE if trouble.value is None else trouble.value  # TOML has no null: None is "not there"
    line = _line_of(trouble.key, text)
    return Problem(where, trouble.key, trouble.message, trouble.remedy, value, line=line)


def _line_of(key: str, text: str) -> int | None:
    """The line of a dotted key, found by its table's header and its own name."""
    path = re.sub(r"\[\d+\]", "", key).split(".")
    table: list[str] = []
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]+\s*(#.*)?$", line)
        if header:
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            here = table
        else:
            assignment = re.match(r"\s*([\w.\-\"']+)\s*=", line)
            if not assignment:
                continue
            here = table + [part.strip("\"'") for part in assignment[1].split(".")]
        if here == path[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None
