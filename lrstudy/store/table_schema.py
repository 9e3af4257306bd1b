"""The columns of the store's two tables, and the way from records to tables and back.

The schema follows the records' fields, in their order, so that there is one place to change; each metric
that a study declares is one more column of its evaluations. The types are the plainest there are (no
dictionary columns, one unit of time), and they are the same in every file of a study: any reader opens all
files of a table together. Every column may be null: "not measured".
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord

SCHEMA_VERSION: Final = 2
TABLES: Final = ("trials", "evaluations")
# The folders of a table's files. Schema version 1 had its evaluations, one in each epoch, in another.
FOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "trials": ("trials",),
    "evaluations": ("epochs", "evaluations"),
}
# Other names that a table may be called by: that of schema version 1.
ALIASES: Final[Mapping[str, str]] = {"epochs": "evaluations"}

# Columns that files of this schema version may lack: an earlier lrstudy wrote those, and all values are null.
LATER_COLUMNS: Final = frozenset({"cpus", "slot_seconds", "energy_kwh", "energy_source"})

# What each file says of the study that it belongs to, so that files of two studies cannot pass as one.
STUDY_KEY: Final = b"lrstudy.study"
SPEC_HASH_KEY: Final = b"lrstudy.spec_hash"
SCHEMA_VERSION_KEY: Final = b"lrstudy.schema_version"

_ARROW_TYPES: Final[Mapping[Any, Any]] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    Phase: pa.string(),
    Status: pa.string(),
    dict: pa.string(),
    datetime: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class TrialKey:
    """The trial that an evaluation belongs to: the columns that its row has before the record's own."""

    trial_id: str
    phase: Phase
    schedule: str
    seed: int


def _columns(record: type) -> list[Any]:
    """One nullable Arrow field for each field of a record."""
    hints = typing.get_type_hints(record)
    names = [field.name for field in fields(record) if field.name != "metrics"]
    return [pa.field(name, _ARROW_TYPES[_plain(hints[name])]) for name in names]


def _plain(hint: Any) -> Any:
    """``float | None`` → ``float``; ``dict[str, object]`` → ``dict``."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    return typing.get_origin(hint) or hint


TRIALS_SCHEMA: Final = pa.schema(_columns(TrialRecord))
EVALUATIONS_SCHEMA: Final = pa.schema(_columns(TrialKey) + _columns(EvaluationRecord))
_KEY: Final = tuple(field.name for field in fields(TrialKey))


def schema_of(table: str, declared: Iterable[str] = ()) -> Any:
    """Return the schema of a table; ``declared`` are the metrics that its study declares."""
    if table == "trials":
        return TRIALS_SCHEMA
    new = [name for name in declared if name not in EVALUATIONS_SCHEMA.names]
    return pa.schema([*EVALUATIONS_SCHEMA, *(pa.field(name, pa.float64()) for name in new)])


def params_to_json(params: Mapping[str, object]) -> str:
    """Hyperparameters as strict JSON text, in their order; raises ``ValueError`` for a NaN or infinity."""
    return json.dumps(dict(params), allow_nan=False)


def trials_table(records: Sequence[TrialRecord]) -> Any:
    """Trial records as a table of ``TRIALS_SCHEMA``."""
    columns: dict[str, list[Any]] = {
        name: [getattr(record, name) for record in records] for name in TRIALS_SCHEMA.names
    }
    columns["params"] = [params_to_json(record.params) for record in records]
    for name in ("phase", "status"):
        columns[name] = [str(value) for value in columns[name]]
    for name in ("started_at", "ended_at"):
        columns[name] = [_utc(name, moment) for moment in columns[name]]
    return _table(columns, TRIALS_SCHEMA)


def evaluations_table(
    rows: Sequence[tuple[TrialKey, EvaluationRecord]], schema: Any = EVALUATIONS_SCHEMA
) -> Any:
    """Return evaluation records with their trials as a table of this schema.

    Raises ``ValueError`` for a metric that the schema does not have.
    """
    columns: dict[str, list[Any]] = {name: [getattr(key, name) for key, _ in rows] for name in _KEY}
    columns["phase"] = [str(phase) for phase in columns["phase"]]
    for name in EVALUATIONS_SCHEMA.names[len(_KEY) :]:
        columns[name] = [getattr(record, name) for _, record in rows]
    declared = schema.names[len(EVALUATIONS_SCHEMA) :]
    for name in declared:
        columns[name] = [record.metrics.get(name) for _, record in rows]
    for key, record in rows:
        if record.metrics and not record.metrics.keys() <= set(declared):
            unknown = min(record.metrics.keys() - set(declared))
            raise ValueError(f"{key.trial_id}: the study does not declare the metric {unknown!r}")
    return _table(columns, schema)


def trial_records(table: Any) -> list[TrialRecord]:
    """The records of a table of ``TRIALS_SCHEMA``."""
    return [_trial_record(row) for row in table.to_pylist()]


def evaluation_records(table: Any) -> Iterator[tuple[TrialKey, EvaluationRecord]]:
    """The records of a table of evaluations, in the table's order."""
    declared = [name for name in table.column_names if name not in EVALUATIONS_SCHEMA.names]
    for batch in table.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            key = TrialKey(row.pop("trial_id"), Phase(row.pop("phase")), row.pop("schedule"), row.pop("seed"))
            metrics = {name: row.pop(name) for name in declared}
            yield key, EvaluationRecord(**row, metrics=metrics)


def check_values(table: Any) -> None:
    """Raise ``ValueError`` for text, phases, states, params or times that no writer stores.

    For files without a checksum, in which damage may look like a value.
    """
    table.validate(full=True)
    for name, known in (("phase", Phase), ("status", Status)):
        if name in table.column_names:
            others = set(pc.unique(table[name]).to_pylist()) - {str(value) for value in known} - {None}
            if others:
                raise ValueError(f"the column {name} holds {min(others)!r}")
    if "params" in table.column_names:
        for text in table["params"].to_pylist():
            if text and not isinstance(json.loads(text), dict):
                raise ValueError(f"the column params holds {text!r}")
    for name in ("started_at", "ended_at"):
        if name in table.column_names:
            table[name].to_pylist()  # raises for years that Python has not


def _trial_record(row: dict[str, Any]) -> TrialRecord:
    row["phase"], row["status"] = Phase(row["phase"]), Status(row["status"])
    row["params"] = json.loads(row["params"])
    for name in ("started_at", "ended_at"):
        # Null in a store made of recorded histories, which do not tell.
        row[name] = row[name] and row[name].astimezone(UTC)
    return TrialRecord(**row)


def _utc(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone: {moment}")
    return moment.astimezone(UTC)


def _table(columns: Mapping[str, Iterable[Any]], schema: Any) -> Any:
    # from_pandas=False: None becomes null, NaN stays NaN.
    arrays = [pa.array(columns[field.name], type=field.type, from_pandas=False) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
