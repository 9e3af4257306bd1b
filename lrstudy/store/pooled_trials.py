"""The trials that each store brings into a pool, the names they get there, and the seeds they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.errors import Problem
from lrstudy.records import Phase, TrialRecord
from lrstudy.rules.counting import counted
from lrstudy.store.reader import Store
from lrstudy.store.superseded import superseded_trials


@dataclass(frozen=True)
class Member:
    """A store of a pool: ``names`` maps the schedules taken from it to their names in the pool.

    ``ids`` does the same with the ids of its trials.
    """

    store: Store
    names: Mapping[str, str]
    ids: Mapping[str, str]

    @property
    def trials(self) -> Any:
        """The rows of the trials that it brings, as they are stored."""
        table = self.store.trials()
        return table.filter(pc.is_in(table["trial_id"], value_set=pa.array(list(self.ids), pa.string())))

    def renamed(self, table: Any) -> Any:
        """Return rows of this store under the names of the pool."""
        for column, names in (("trial_id", self.ids), ("schedule", self.names)):
            if column in table.column_names and any(one != other for one, other in names.items()):
                place = table.column_names.index(column)
                renamed = pa.array([names[value] for value in table[column].to_pylist()], pa.string())
                table = table.set_column(place, table.schema.field(column), renamed)
        return table

    @cached_property
    def confirm_seeds(self) -> dict[str, set[tuple[int, int]]]:
        """The replicates and seeds of the confirm runs of each schedule, by its name in the pool."""
        found: dict[str, set[tuple[int, int]]] = {name: set() for name in self.names.values()}
        rows = self.trials.select(["phase", "schedule", "replicate", "seed"]).to_pylist()
        for row in rows:
            if row["phase"] == Phase.CONFIRM.value:
                found[self.names[row["schedule"]]].add((row["replicate"] or 1, row["seed"]))
        return found


def members_of(stores: Sequence[Store]) -> tuple[Member, ...]:
    """Divide the schedules of stores among them: equal ones are taken once, others get names that differ."""
    records = [store.trial_records() for store in stores]
    kept = _kept_schedules(stores, records)
    taken: set[str] = set()
    used: set[str] = set()
    members = []
    for place, (store, rows) in enumerate(zip(stores, records, strict=True)):
        own = [name for name in store.study.spec["schedules"] if kept[name, place] == place]
        names = {}
        for name in own:
            names[name] = _free_name(name, store, taken)
            taken.add(names[name])
        out = superseded_trials(store.study, rows)
        ids = {}
        for row in rows:
            if row.schedule in names and row.trial_id not in out:
                one = row.trial_id
                ids[one] = one if one not in used else f"{place + 1}/{one}"
                used.add(ids[one])
        members.append(Member(store, names, ids))
    return tuple(members)


def _kept_schedules(
    stores: Sequence[Store], records: Sequence[Sequence[TrialRecord]]
) -> dict[tuple[str, int], int]:
    """Return for each schedule of each store the place of the store whose runs of it are taken."""
    runs = [
        {name: sum(row.schedule == name for row in rows) for name in store.study.spec["schedules"]}
        for store, rows in zip(stores, records, strict=True)
    ]
    kept = {}
    for place, store in enumerate(stores):
        for name, entry in store.study.spec["schedules"].items():
            alike = [at for at, one in enumerate(stores) if one.study.spec["schedules"].get(name) == entry]
            kept[name, place] = max(alike, key=lambda at: (runs[at][name], -at))
    return kept


def _free_name(name: str, store: Store, taken: set[str]) -> str:
    """Return a schedule's name, with that of its store behind it if another schedule has it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = (
            f"{name} ({store.location.name})" if number == 2 else f"{name} ({store.location.name} {number})"
        )
    return found


def repeated_runs(members: Sequence[Member]) -> list[str]:
    """Say of each schedule that several stores ran if its runs agree: that tests both computers and code."""
    notes = []
    for owner in members:
        for name, shown in owner.names.items():
            entry = owner.store.study.spec["schedules"][name]
            ours = _best_values(owner.store, name)
            for other in members:
                if other is owner or other.store.study.spec["schedules"].get(name) != entry:
                    continue
                theirs = _best_values(other.store, name)
                notes.append(_agreement(shown, owner, other, ours, theirs))
    return notes


def _best_values(store: Store, schedule: str) -> dict[str, tuple[int, str, float | None]]:
    return {
        row.trial_id: (row.seed, str(row.params), row.best_val)
        for row in store.trial_records()
        if row.schedule == schedule
    }


def _agreement(
    name: str, owner: Member, other: Member, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> str:
    common = sorted(ours.keys() & theirs.keys())
    equal = sum(ours[one] == theirs[one] for one in common)
    taken = (
        f"{name} is in {owner.store.location} and in {other.store.location}; the runs of the first are used"
    )
    if not common:
        return f"{taken}. The two have no trial in common."
    if equal == len(common):
        return f"{taken}. All {counted(equal, 'common trial')} have the same best values."
    return (
        f"{taken}. Only {equal} of {counted(len(common), 'common trial')} have the same parameters, seed and "
        "best value: the two stores do not compute the same, so differences between their schedules may be "
        "differences between machines or versions."
    )


def unpaired_runs(members: Sequence[Member], reference: str) -> tuple[list[Problem], list[str]]:
    """Return a problem for each schedule without a seed of the reference, a note for each that lacks some."""
    base = next(
        (member.confirm_seeds[reference] for member in members if reference in member.names.values()), set()
    )
    problems, notes = [], []
    for member in members:
        for name, seeds in member.confirm_seeds.items():
            if not seeds or not base or name == reference or seeds == base:
                continue
            if not seeds & base:
                message = (
                    f"none of {name}'s confirm runs has a seed of {reference}'s: no pair can be compared"
                )
                remedy = "Run the schedule with the study's seeds: the same seed and confirm_seeds"
                problems.append(Problem(str(member.store.location), "seed", message, remedy))
                continue
            pairs = counted(len(seeds & base), "confirm run")
            notes.append(
                f"{name} is compared over the {pairs} that it shares with {reference} by replicate and seed "
                f"(it has {len(seeds)}, {reference} {len(base)})."
            )
    return problems, notes
