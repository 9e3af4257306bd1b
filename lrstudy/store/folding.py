"""Many problems of one kind as few lines: repeated ones folded, with their number."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from lrstudy.errors import Problem

_SHOWN: Final = 5  # of the problems of one kind


def folded(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, those of one cause as one: rows of a file, then files, then what else is alike."""
    rows = _gathered(problems, lambda each: (each.where, each.key, each.message, each.remedy))
    in_files = [_counted(group, _more(len(group) - 1)) for group in rows]
    files = _gathered(in_files, lambda each: (each.key, each.message, each.remedy))
    joined = [_counted(group, _others([each.where for each in group[1:]])) for group in files]
    shown: list[Problem] = []
    for group in _gathered(joined, lambda each: (each.key, each.remedy)):
        shown += group[:_SHOWN]
        if len(group) > _SHOWN:
            message = f"{len(group) - _SHOWN:,} more problems of this kind, the first of them here"
            shown.append(replace(group[_SHOWN], message=message))
    return shown


def folded_notes(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Notes with their places, each message once."""
    places: dict[str, dict[str, None]] = {}
    for message, place in notes:
        places.setdefault(message, {})[place] = None
    lines = []
    for message, found in places.items():
        first, *others = [place for place in found if place] or [""]
        more = f" and {_others(others)}" if others else ""
        lines.append(f"{first}: {message}{more}" if first else message)
    return lines


def _gathered(problems: Iterable[Problem], key: Callable[[Problem], Hashable]) -> list[list[Problem]]:
    groups: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(key(problem), []).append(problem)
    return list(groups.values())


def _counted(group: Sequence[Problem], others: str) -> Problem:
    if len(group) == 1:
        return group[0]
    return replace(group[0], message=f"{group[0].message} (and in {others})")


def _more(rows: int) -> str:
    return f"{rows:,} more row{'s' * (rows > 1)}"


def _others(places: Sequence[str]) -> str:
    shown = ", ".join(places[:_SHOWN])
    more = len(places) - _SHOWN
    return shown + (f" and {more:,} more" if more > 0 else "")
