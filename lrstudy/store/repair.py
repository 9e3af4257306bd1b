"""Makes a damaged store one that can be resumed: what is doubtful is taken out, and its trials run again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.errors import StoreError
from lrstudy.store.chunks import keep_rows
from lrstudy.store.examination import Examination, examine
from lrstudy.store.location import Location
from lrstudy.store.lock import lock_folder
from lrstudy.store.study_info import StudyInfo
from lrstudy.store.table_files import read_table_file, table_files
from lrstudy.store.table_schema import TABLES
from lrstudy.store.tally import COLUMNS, EvaluationTally, count_evaluations

# Two trainings of one trial differ in these; every other difference makes the trial doubtful.
_OF_ONE_RUN: Final = (
    *("train_seconds", "estimate_seconds", "eval_seconds"),
    *("started_at", "ended_at", "node", "device", "attempt", "error"),
    *("cpus", "slot_seconds", "energy_kwh", "energy_source"),
)
_KEYS: Final = {"trials": ("trial_id",), "evaluations": COLUMNS}
ASIDE: Final = ".damaged"


@dataclass(frozen=True, slots=True)
class Repair:
    """The result: files set aside, trials whose second rows were dropped, trials to be run again."""

    set_aside: list[str]
    merged: list[str]
    dropped: list[str]


def repair(folder: Location) -> Repair:
    """Set damaged files aside and drop rows that contradict each other, under the writer's lock.

    A damaged file is kept beside the others under the ending ``.damaged``. Of rows that are stored twice the
    first stay, if all but the times are equal; otherwise the whole trial is dropped, as one is that lacks
    evaluations. Trials go before their evaluations, so that a kill at any moment leaves a store that can be
    repaired.
    Raises ``StoreError`` when another process writes the store or ``study.json`` cannot be used.
    """
    lock = lock_folder(folder)
    try:
        found = examine(folder)
        newer = [p for ps in found.damaged.values() for p in ps if p.key == "schema_version"]
        if newer:
            raise StoreError(newer)
        aside = sorted(found.damaged)
        for name in aside:
            _set_aside(folder, name)
        merged, dropped = _drop(folder, examine(folder))
        lock.check()
    finally:
        lock.release()
    return Repair(aside, merged, dropped)


def _set_aside(folder: Location, name: str) -> None:
    place, aside = folder / name, folder / f"{name}{ASIDE}"
    while aside.exists():  # from an earlier repair
        name = f"{name}{ASIDE}"
        aside = folder / f"{name}{ASIDE}"
    aside.write(place.read())
    place.delete()


def _drop(folder: Location, found: Examination) -> tuple[list[str], list[str]]:
    """Rewrite the files without what is doubtful; returns the trials that were merged and dropped."""
    doubled = {*found.doubled_trials, *found.doubled_evaluations}
    dropped = set(found.lacking_evaluations)
    if not doubled and not dropped:
        return [], []
    parts = {table: _read(folder, table, found.study) for table in TABLES}
    firsts = {table: _firsts(parts[table], key, doubled) for table, key in _KEYS.items()}
    unlike = firsts["trials"].unlike | firsts["evaluations"].unlike
    kept = {table: _kept(parts[table], firsts[table]) for table in TABLES}
    tally = EvaluationTally(_only(kept["trials"], doubled - unlike), gaps=found.study.imported)
    tally.add(count_evaluations(_only(kept["evaluations"], doubled - unlike)))
    dropped |= unlike | set(tally.lacking)
    for table in TABLES:
        for name, part in parts[table].items():
            others = pc.invert(pc.is_in(part["trial_id"], value_set=_ids(dropped)))
            mask = pc.and_(firsts[table].mask(name), others)
            if not pc.all(mask, min_count=0).as_py():
                keep_rows(folder / name, mask)
    return sorted(doubled - dropped), sorted(dropped)


@dataclass(frozen=True, slots=True)
class _Firsts:
    """Of each file which rows are the first of their kind, and the trials whose second rows are not alike."""

    masks: dict[str, list[bool]]
    unlike: set[str]

    def mask(self, name: str) -> Any:
        """Return the mask of a file's rows."""
        return pa.array(self.masks[name], pa.bool_())


def _firsts(parts: Mapping[str, Any], key: Sequence[str], doubled: Collection[str]) -> _Firsts:
    seen: dict[tuple[Any, ...], str] = {}
    masks: dict[str, list[bool]] = {}
    unlike = set()
    for name, part in parts.items():
        masks[name] = [True] * part.num_rows
        among = pc.is_in(part["trial_id"], value_set=_ids(doubled))
        for place in pc.indices_nonzero(among).to_pylist():
            (row,) = part.slice(place, 1).to_pylist()
            what = tuple(row[column] for column in key)
            # As text, so that NaN equals NaN.
            values = repr([value for column, value in row.items() if column not in _OF_ONE_RUN])
            if what in seen:
                masks[name][place] = False
                if seen[what] != values:
                    unlike.add(row["trial_id"])
            seen.setdefault(what, values)
    return _Firsts(masks, unlike)


def _kept(parts: Mapping[str, Any], firsts: _Firsts) -> dict[str, Any]:
    return {name: part.filter(firsts.mask(name)) for name, part in parts.items()}


def _only(parts: Mapping[str, Any], trial_ids: Collection[str]) -> Any:
    among = [part.filter(pc.is_in(part["trial_id"], value_set=_ids(trial_ids))) for part in parts.values()]
    return pa.concat_tables(among)


def _ids(trial_ids: Collection[str]) -> Any:
    return pa.array(sorted(trial_ids), pa.string())


def _read(folder: Location, table: str, study: StudyInfo) -> dict[str, Any]:
    wanted = study.schema(table)
    return {name: read_table_file(folder / name, table, wanted) for name in table_files(folder, table)}
