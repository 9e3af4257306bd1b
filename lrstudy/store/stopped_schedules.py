"""Schedules that were stopped by hand: in ``study.json``, so that no resume starts their trials.

An entry has the time of the stop and the number of ``looks`` that the study had taken until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.store.location import Location
from lrstudy.store.lock import lock_folder
from lrstudy.store.reader import read_study
from lrstudy.store.study_info import STUDY_FILE, StudyInfo


def names_to_stop(study: StudyInfo, name: str, where: str) -> tuple[str, ...]:
    """Return a schedule with its shorter trainings, which stop with it.

    Raises ``InputError`` for a schedule that the study does not compare, and for the reference.
    """
    compared = [schedule.name for schedule in study.compared]
    if name not in compared:
        remedy = did_you_mean(name, compared)
        raise InputError(Problem(where, "--schedule", "is not a schedule of this run", remedy, name))
    if name == study.reference:
        message = "is the reference, with which all others are compared"
        remedy = f"Stop the whole study: lrstudy stop {where}"
        raise InputError(Problem(where, "--schedule", message, remedy, name))
    return (name, *(schedule.name for schedule in study.schedules if schedule.of == name))


def with_stopped(study: StudyInfo, names: Iterable[str]) -> StudyInfo:
    """Return the study with these schedules stopped; those that are keep their entry."""
    entry: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "looks": len(study.taken_looks),
    }
    return replace(study, stopped=dict.fromkeys(names, entry) | study.stopped)


def without_stopped(study: StudyInfo, names: Iterable[str]) -> StudyInfo:
    """Return the study with these schedules taken back.

    They take part in the looks since the stop, and the last one is repeated with them if it had nothing to
    add.
    """
    given = [name for name in names if name in study.stopped]
    looks = list(study.taken_looks)
    for name in given:
        first = int(study.stopped[name].get("looks", len(looks)))
        looks[first:] = [
            look if name in look.open else replace(look, open=(*look.open, name)) for look in looks[first:]
        ]
    before = list(study.taken_looks)
    if looks != before and not before[-1].adds:
        looks.pop()  # to be taken again
    left = {name: entry for name, entry in study.stopped.items() if name not in given}
    return replace(study, stopped=left, looks=[look.to_json() for look in looks])


def rewrite_study(folder: Location, change: Callable[[StudyInfo], StudyInfo]) -> StudyInfo:
    """Change ``study.json`` of a run that no process writes; raises ``StoreError`` if one does."""
    lock = lock_folder(folder)
    try:
        study = change(read_study(folder))
        lock.check()
        (folder / STUDY_FILE).write(study.to_json().encode())
    finally:
        lock.release()
    return study
