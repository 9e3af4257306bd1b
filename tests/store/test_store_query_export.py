"""SQL over a store, and its tables for other programs."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from store_samples import epoch, study, trial

from lrstudy.errors import InputError, StoreError
from lrstudy.store import Store, StoreWriter, export_store, open_store, query_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with StoreWriter.create_or_open(tmp_path / "store", study(), chunk_rows=4) as writer:
        for number in range(3):
            writer.append(*trial(number))
        rows, ends = trial(3, 0, params={"mode": 'a "quoted", one', "milestones": [0.5, 0.75]}, error="x\ny")
        key = trial(3)[0][0][0]
        writer.append([(key, epoch(1, val_loss=math.nan, kz=None, lr=math.inf))], ends)
        assert rows == []
    return open_store(tmp_path / "store")


def test_a_query_sees_both_tables(store: Store) -> None:
    sql = """
        SELECT trials.trial_id, count(*) AS epochs, trials.params ->> 'lr' AS lr
        FROM trials JOIN epochs USING (trial_id) GROUP BY ALL ORDER BY ALL LIMIT 2
    """
    assert query_store(store, sql).to_pylist() == [
        {"trial_id": "fixed-tune-000", "epochs": 3, "lr": "0.1"},
        {"trial_id": "fixed-tune-001", "epochs": 3, "lr": "0.1"},
    ]


def test_an_empty_store_can_be_queried(tmp_path: Path) -> None:
    StoreWriter.create_or_open(tmp_path, study()).close()
    assert query_store(open_store(tmp_path), "SELECT max(lr) AS lr FROM epochs").to_pylist() == [{"lr": None}]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELEC 1",
        "SELECT nope FROM epochs",
        "SELECT * FROM store",
        "SELECT * FROM read_text('{folder}/store/study.json')",
        "DELETE FROM trials",
        "DROP TABLE trials",
        "INSERT INTO trials SELECT * FROM trials",
        "COPY trials TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/new.db'",
        "SET enable_external_access = true",
    ],
)
def test_a_query_can_change_nothing_and_see_nothing_else(store: Store, tmp_path: Path, sql: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as refusal:
        query_store(store, sql.format(folder=tmp_path))
    assert refusal.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_the_error_of_a_query_names_the_columns(store: Store) -> None:
    with pytest.raises(InputError, match=r"(?s)nope.*trials: trial_id, phase.*evaluations: trial_id"):
        query_store(store, "SELECT nope FROM epochs")


def test_duckdb_not_installed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InputError, match=r"lrstudy\[query\]"):
        query_store(store, "SELECT 1")


def test_in_a_notebook_a_store_says_what_it_is_and_another_table_is_refused(store: Store) -> None:
    assert repr(store).endswith("store', study 'digits': trials in 1 files, evaluations in 3 files)")
    assert len(store.pandas("trials")) == 4
    with pytest.raises(InputError, match=r"'evaluation'.*Did you mean 'evaluations'"):
        store.pandas("evaluation")


def test_export_to_csv(store: Store, tmp_path: Path) -> None:
    files = export_store(store, tmp_path / "out", "csv")
    assert [file.local for file in files] == [tmp_path / "out/trials.csv", tmp_path / "out/evaluations.csv"]
    trials = pd.read_csv(tmp_path / "out/trials.csv")
    assert json.loads(trials.params[3]) == {"mode": 'a "quoted", one', "milestones": [0.5, 0.75]}
    assert trials.error[3] == "x\ny"
    lines = (tmp_path / "out/evaluations.csv").read_text().splitlines()
    assert len(lines) == 11
    last = dict(zip(lines[0].replace('"', "").split(","), lines[-1].split(","), strict=True))
    assert (last["val_loss"], last["kz"], last["lr"]) == ("nan", "", "inf")


def test_export_to_parquet(store: Store, tmp_path: Path) -> None:
    export_store(store, tmp_path / "out", "parquet")
    epochs = pq.read_table(tmp_path / "out/evaluations.parquet")
    assert epochs.schema.equals(store.evaluations().schema)
    assert repr(epochs.to_pylist()) == repr(store.evaluations().to_pylist())  # as texts: NaN equals NaN
    assert pq.read_table(tmp_path / "out/trials.parquet") == store.trials()


def test_export_to_json(store: Store, tmp_path: Path) -> None:
    export_store(store, tmp_path / "out", "json")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    trials = json.loads((tmp_path / "out/trials.json").read_text(), parse_constant=refuse)
    epochs = json.loads((tmp_path / "out/evaluations.json").read_text(), parse_constant=refuse)
    assert trials[3]["params"]["milestones"] == [0.5, 0.75]
    assert trials[0]["started_at"] == "2026-01-02T03:04:05.678901+00:00"
    assert len(epochs) == 10
    assert (epochs[-1]["val_loss"], epochs[-1]["kz"], epochs[-1]["lr"]) == ("NaN", None, "Infinity")


@pytest.mark.parametrize("file_format", ["csv", "parquet", "json"])
def test_an_empty_store_can_be_exported_twice(tmp_path: Path, file_format: str) -> None:
    StoreWriter.create_or_open(tmp_path / "store", study()).close()
    for _ in range(2):
        export_store(open_store(tmp_path / "store"), tmp_path / "out", file_format)
    assert len(list((tmp_path / "out").iterdir())) == 2
    if file_format == "json":
        assert json.loads((tmp_path / "out/evaluations.json").read_text()) == []


def test_an_export_that_fails_leaves_the_last_one(store: Store, tmp_path: Path) -> None:
    export_store(store, tmp_path / "out", "csv")
    before = (tmp_path / "out/evaluations.csv").read_bytes()
    (tmp_path / "store/evaluations/00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="is damaged"):
        export_store(store, tmp_path / "out", "csv")
    assert (tmp_path / "out/evaluations.csv").read_bytes() == before
    assert not list((tmp_path / "out").glob(".*"))


def test_another_format(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Known: csv, parquet, json"):
        export_store(store, tmp_path, "xlsx")
