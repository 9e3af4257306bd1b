"""Stores of one task read as one study: the schedules of several people, with one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.errors import InputError
from lrstudy.records import Phase
from lrstudy.rules.looks import Look
from lrstudy.store.pool_checks import must_match, should_match
from lrstudy.store.pooled_trials import Member, members_of, repeated_runs, unpaired_runs
from lrstudy.store.reader import Store
from lrstudy.store.study_info import ScheduleInfo, StudyInfo


@dataclass(frozen=True)
class PooledStudy(StudyInfo):
    """Studies of one task as one: their schedules under the first one's settings and reference.

    ``owners`` maps each schedule to the study that it is from, which knows how many trials it has, and its
    name there.
    """

    owners: Mapping[str, tuple[StudyInfo, str]] = field(default_factory=dict)

    @property
    def first_numbers(self) -> dict[Phase, int]:
        """None: runs that an extension superseded are left out when the stores are read."""
        return {}

    def replicates(self, schedule: str) -> int:
        """Return the number of tunings that a schedule has, or will have, in the study that it is from."""
        study, name = self.owners[schedule]
        return study.replicates(name)

    def planned(self, schedule: ScheduleInfo) -> dict[Phase, int]:
        """Return the number of trials of each phase for a schedule in the study that it is from."""
        study, name = self.owners[schedule.name]
        return study.planned(replace(schedule, name=name))


@dataclass(frozen=True)
class PooledStore:
    """The trials of several stores under the schedules' names in the pool; ``notes`` say what differs."""

    study: PooledStudy
    notes: tuple[str, ...]
    members: tuple[Member, ...] = field(repr=False)

    def trials(self, columns: Sequence[str] | None = None) -> Any:
        """The trials as a ``pyarrow.Table``, one row per trial that has ended."""
        tables = [member.renamed(member.trials) for member in self.members]
        table = pa.concat_tables(tables)
        return table if columns is None else table.select(list(columns))

    def evaluations(self, columns: Sequence[str] | None = None) -> Any:
        """The evaluations of these trials as a ``pyarrow.Table``."""
        wanted = self.study.schema("evaluations").names if columns is None else list(columns)
        read = list(dict.fromkeys([*wanted, "trial_id"]))
        parts = []
        for member in self.members:
            table = member.store.evaluations(read)
            table = table.filter(
                pc.is_in(table["trial_id"], value_set=pa.array(list(member.ids), pa.string()))
            )
            parts.append(member.renamed(table).select(wanted))
        return pa.concat_tables(parts)


def pool_stores(stores: Sequence[Store]) -> PooledStore:
    """Read stores of one task as one study with the reference of the first.

    A schedule that several stores ran with the same settings counts once, from the store with the most runs
    of it; of two different schedules with one name the later one is renamed.

    Raises:
        InputError: with every difference that makes trials incomparable: other data, another task, model,
            budget or target, other seeds.
    """
    problems = [problem for other in stores[1:] for problem in must_match(stores[0], other)]
    if problems:
        raise InputError(problems)
    members = members_of(stores)
    reference = stores[0].study.reference
    problems, unpaired = unpaired_runs(members, reference)
    if problems:
        raise InputError(problems)
    warnings = [note for other in stores[1:] for note in should_match(stores[0], other)]
    notes = (_sources(members, reference), *warnings, *repeated_runs(members), *unpaired)
    return PooledStore(_pooled_study(members), tuple(notes), members)


def _sources(members: Sequence[Member], reference: str) -> str:
    """Say which schedules come from which store."""
    said = [
        f"{', '.join(member.names.values()) or 'nothing'} from {member.store.location}" for member in members
    ]
    return f"Pooled from {len(members)} stores: {'; '.join(said)}. The reference is {reference}."


def _pooled_study(members: Sequence[Member]) -> PooledStudy:
    first = members[0].store.study
    schedules: dict[str, Any] = {}
    owners: dict[str, tuple[StudyInfo, str]] = {}
    stopped: dict[str, dict[str, Any]] = {}
    for member in members:
        study = member.store.study
        for own, name in member.names.items():
            entry = dict(study.spec["schedules"][own])
            if entry.get("of"):
                entry["of"] = member.names.get(entry["of"], entry["of"])
            schedules[name], owners[name] = entry, (study, own)
            if own in study.stopped:
                stopped[name] = study.stopped[own]
    spec = first.spec | {"schedules": schedules}
    if first.imported:
        files = [file for member in members for file in member.store.study.spec["imported"].get("files", ())]
        spec["imported"] = first.spec["imported"] | {"files": list(dict.fromkeys(files))}
    values = {one.name: getattr(first, one.name) for one in fields(StudyInfo)}
    changed = {
        "spec": spec,
        "looks": [look.to_json() for look in _looks(members)],
        "history": [entry for member in members for entry in member.store.study.history],
        "stopped": stopped,
        "lanes": max(member.store.study.lanes for member in members),
    }
    return PooledStudy(**values | changed, owners=owners)


def _looks(members: Sequence[Member]) -> list[Look]:
    """Return the looks that any of the studies took, each with every schedule that it left open."""
    merged: dict[int, Look] = {}
    for member in members:
        for look in member.store.study.taken_looks:
            before = merged.get(look.replicates, Look(look.replicates, (), look.then))
            added = [member.names[name] for name in look.open if name in member.names]
            merged[look.replicates] = Look(
                look.replicates, (*before.open, *added), max(before.then, look.then)
            )
    return [merged[size] for size in sorted(merged)]
