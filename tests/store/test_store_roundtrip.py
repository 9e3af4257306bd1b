"""What is written comes back as it was, in plain columns that any Parquet reader opens."""

from __future__ import annotations

import math
import tempfile
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import epoch, study, trial

from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.store import StoreWriter, TrialKey, open_store

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AWKWARD = st.sampled_from(
    ["<img src=x onerror=alert(1)>", "\"'`;--", "学習率 λ", "a,b\nc\t\\", "null", "NaN", ""]
)
WORDS = TEXTS | AWKWARD
INTS = st.integers(0, 2**63 - 1)
FLOATS = st.floats()  # with NaN, infinities, -0.0 and subnormal numbers
MAYBE = st.none() | FLOATS
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 # hypothesis wants naive bounds


DECLARED = {"perplexity": "min", "f1": {"goal": "max", "low": 0, "high": 1}, "F-score": "max"}
DECLARING = study(spec={"task": {"epochs": 5, "metrics": DECLARED}})


def records(kind: type, **given_fields: Any) -> st.SearchStrategy[Any]:
    by_type = {
        "int": INTS,
        "float": FLOATS,
        "float | None": MAYBE,
        "int | None": st.none() | INTS,
        "str": WORDS,
        "str | None": st.none() | WORDS,
        "datetime": MOMENTS,
        "Phase": st.sampled_from(Phase),
        "Status": st.sampled_from(Status),
        "Mapping[str, float | None]": st.fixed_dictionaries(dict.fromkeys(DECLARED, MAYBE)),
        "dict[str, object]": st.dictionaries(WORDS, JSON, max_size=4),
    }
    return st.builds(kind, **{f.name: by_type[str(f.type)] for f in fields(kind)} | given_fields)


def same(a: object, b: object) -> bool:
    """Equal, with NaN equal to NaN, and None to nothing else."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            records(TrialRecord, evaluations_run=st.just(1)),
            records(TrialKey),
            records(EvaluationRecord, evaluation=st.just(1)),
        ),
        max_size=4,
        unique_by=lambda rows: rows[0].trial_id,
    )
)
def test_records_come_back_as_they_were(rows: list[tuple[TrialRecord, TrialKey, EvaluationRecord]]) -> None:
    trials = [record for record, _, _ in rows]
    epochs = [(replace(key, trial_id=record.trial_id), last) for record, key, last in rows]
    with tempfile.TemporaryDirectory() as folder:
        with StoreWriter.create_or_open(folder, DECLARING) as writer:
            writer.append(epochs, trials)
        store = open_store(folder)
        assert same(tuple(map(astuple, store.trial_records())), tuple(map(astuple, trials)))
        back = tuple((astuple(key), astuple(record)) for key, record in store.evaluation_records())
        assert same(back, tuple((astuple(key), astuple(record)) for key, record in epochs))


def test_the_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(0))
    store = open_store(tmp_path)
    text, number, real, moment = "string", "int64", "double", "timestamp[us, tz=UTC]"
    assert [(f.name, str(f.type)) for f in store.trials().schema] == [
        ("trial_id", text), ("phase", text), ("schedule", text), ("seed", number), ("replicate", number),
        ("params", text), ("status", text), ("error", text), ("length", number), ("evaluations_run", number),
        ("steps_run", number), ("epochs_run", real), ("best_val", real), ("best_evaluation", number),
        ("best_step", number), ("best_epoch", real), ("objective", real), ("test_loss", real),
        ("test_accuracy", real), ("test_r2", real), ("started_at", moment), ("ended_at", moment),
        ("node", text), ("device", text), ("gpus", real), ("workers", number), ("attempt", number),
            ("cpus", number), ("slot_seconds", real), ("energy_kwh", real), ("energy_source", text),
    ]  # fmt: skip
    assert [(f.name, str(f.type)) for f in store.evaluations().schema] == [
        ("trial_id", text), ("phase", text), ("schedule", text), ("seed", number), ("evaluation", number),
        ("step", number), ("samples", number), ("tokens", number), ("epoch", real), ("train_seconds", real),
        ("estimate_seconds", real), ("eval_seconds", real), ("lr", real), ("lr_min", real), ("lr_max", real),
        ("train_loss", real), ("train_accuracy", real), ("train_r2", real), ("val_loss", real),
        ("val_accuracy", real), ("val_r2", real), ("lipschitz_constant", real), ("kz", real),
        ("weight_norm", real),
    ]  # fmt: skip


def test_every_file_has_the_same_schema_also_when_a_column_is_all_null(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=2) as writer:
        writer.append(*trial(0, test_loss=0.5, error="x"))
        for number in range(1, 4):
            writer.append(*trial(number, best_val=None, objective=None))
        writer.append([(TrialKey("bare", Phase.TUNE, "fixed", 1), epoch(1, val_loss=None, kz=None))])
    for table, files in (("trials", 2), ("evaluations", 7)):
        schemas = [pq.read_schema(file) for file in sorted((tmp_path / table).glob("*.parquet"))]
        assert len(schemas) == files
        assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)


def test_pandas_and_duckdb_open_both_tables_by_glob_and_by_folder(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=3) as writer:
        for number in range(4):
            writer.append(*trial(number))
        (tmp_path / "evaluations" / ".00009.parquet.tmp").write_bytes(b"a write that is just going on")
        assert len(pd.concat(map(pd.read_parquet, (tmp_path / "evaluations").glob("*.parquet")))) == 12
        assert len(pd.read_parquet(tmp_path / "evaluations")) == 12
        assert len(pd.read_parquet(tmp_path / "trials")) == 4
        query = f"SELECT count(*), count(DISTINCT trial_id) FROM '{tmp_path}/evaluations/*.parquet'"
        assert duckdb.sql(query).fetchall() == [(12, 4)]
        assert duckdb.sql(f"SELECT max(params ->> 'lr') FROM '{tmp_path}/trials/*.parquet'").fetchall() == [
            ("0.1",)
        ]


def test_null_is_not_measured_and_nan_is_a_value(tmp_path: Path) -> None:
    key = trial(0)[0][0][0]
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append([(key, epoch(1, val_loss=None)), (key, epoch(2, val_loss=math.nan))])
    query = f"SELECT val_loss IS NULL, isnan(val_loss) FROM '{tmp_path}/evaluations/*.parquet' ORDER BY epoch"
    assert duckdb.sql(query).fetchall() == [(True, None), (False, True)]


def test_columns_can_be_projected(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(0))
    store = open_store(tmp_path)
    assert store.evaluations(["val_loss", "epoch"]).column_names == ["val_loss", "epoch"]
    assert list(store.pandas("trials", ["trial_id"]).trial_id) == ["fixed-tune-000"]
    assert list(store.pandas().columns) == store.evaluations().column_names


def test_times_are_kept_in_utc(tmp_path: Path) -> None:
    summer = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(0, started_at=summer))
    (record,) = open_store(tmp_path).trial_records()
    assert record.started_at.isoformat() == "2026-07-01T10:00:00+00:00"


@pytest.mark.parametrize("bad", [{"params": {"lr": math.nan}}, {"started_at": datetime(2026, 1, 1)}])  # noqa: DTZ001 # naive on purpose
def test_values_without_a_meaning_are_refused_before_anything_is_written(tmp_path: Path, bad: Any) -> None:
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        with pytest.raises(ValueError, match=r"JSON|time zone"):
            writer.append(*trial(0, **bad))
        writer.append(*trial(0))
    assert open_store(tmp_path).evaluations().num_rows == 3
