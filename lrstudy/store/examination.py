"""Examines a whole store: every file against its checksum, every trial against its evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.errors import Problem, StoreError
from lrstudy.store.checksums import is_sealed
from lrstudy.store.footers import footer_problems
from lrstudy.store.location import Location
from lrstudy.store.reader import read_study
from lrstudy.store.study_info import StudyInfo
from lrstudy.store.table_files import decode, narrowed, table_files
from lrstudy.store.table_schema import TABLES, TRIALS_SCHEMA
from lrstudy.store.tally import COLUMNS, EvaluationTally, count_evaluations, doubled_trials
from lrstudy.store.verified import read_verified

_READ = {"trials": ("trial_id", "status", "evaluations_run"), "evaluations": COLUMNS}


@dataclass
class Examination:
    """The contents of a store and the faults in it.

    ``files`` counts each table's files, ``rows`` its rows. ``damaged`` are the files that cannot be used,
    with their problems; ``unsealed`` those without a checksum. The rest are ids of trials: with several rows,
    with an evaluation stored twice, without some of their evaluations, and those with evaluations but no row.
    """

    study: StudyInfo
    files: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, list[Problem]] = field(default_factory=dict)
    unsealed: list[str] = field(default_factory=list)
    doubled_trials: list[str] = field(default_factory=list)
    doubled_evaluations: list[str] = field(default_factory=list)
    lacking_evaluations: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Return True if nothing is wrong: trials that have not ended are not."""
        return not (
            self.damaged or self.doubled_trials or self.doubled_evaluations or self.lacking_evaluations
        )


def examine(folder: Location) -> Examination:
    """Read a whole store and check it; raises ``StoreError`` where ``study.json`` cannot be used."""
    found = Examination(read_study(folder))
    parts = {table: _read_table(folder, table, found) for table in TABLES}
    trials = pa.concat_tables(
        [narrowed(TRIALS_SCHEMA, _READ["trials"]).empty_table(), *parts["trials"].values()]
    )
    tally = EvaluationTally(trials, gaps=found.study.imported)
    for rows in parts["evaluations"].values():
        tally.add(count_evaluations(rows.filter(pc.is_valid(rows["trial_id"]))))
    found.rows = {
        "trials": trials.num_rows,
        "evaluations": sum(rows.num_rows for rows in parts["evaluations"].values()),
    }
    found.doubled_trials = doubled_trials(trials)
    found.doubled_evaluations = tally.doubled
    found.lacking_evaluations = [name for name in tally.lacking if name not in set(tally.doubled)]
    found.unfinished = sorted(set(tally.spans) - set(trials["trial_id"].to_pylist()))
    return found


def _read_table(folder: Location, table: str, found: Examination) -> Mapping[str, Any]:
    """The columns that are compared, of each file that is sound."""
    rows = {}
    names = table_files(folder, table)
    found.files[table] = len(names)
    for name in names:
        place = folder / name
        problems = footer_problems(place, table, found.study)
        if not problems:
            try:
                rows[name], sealed = read_verified(
                    place, lambda content: _decode(content, table, found.study)
                )
            except StoreError as error:
                problems = list(error.problems)
            else:
                if not sealed:
                    found.unsealed.append(name)
        if problems:
            found.damaged[name] = problems
    return rows


def _decode(content: bytes, table: str, study: StudyInfo) -> tuple[Any, bool]:
    # Every column is decoded, so that damage is found in each page of a file without a checksum too.
    return decode(content, table, study.schema(table)).select(_READ[table]), is_sealed(content)
