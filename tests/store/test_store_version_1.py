"""Stores of schema version 1: every reader sees them as the current one, and a run of theirs continues."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from store_samples import epoch, study, trial
from version_1 import EPOCHS, TRIALS, as_version_1

from lrstudy.errors import StoreError
from lrstudy.store import (
    ImportOptions,
    StoreWriter,
    TrialKey,
    export_store,
    import_histories,
    open_location,
    open_store,
    query_store,
    repair,
)
from lrstudy.store.examination import examine

STATES = {1: "diverged", 2: "failed", 3: "pruned"}
# Every current column that version 1 had, by its name there.
WAS = {"evaluations_run": "epochs_run", "best_evaluation": "best_epoch", "evaluation": "epoch"}


def written(folder: Path, trials: int = 5) -> Path:
    """A store of the current version with trials of every state and one that has not ended."""
    with StoreWriter.create_or_open(folder, study(), chunk_rows=4) as writer:
        for number in range(trials):
            writer.append(*trial(number, status=STATES.get(number, "completed")))
        writer.append(trial(trials)[0][:2])
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The same store in version 1."""
    return as_version_1(written(tmp_path / "old"))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The store in the current version."""
    return written(tmp_path / "new")


def rows_of(folder: Path) -> list[tuple[str, int]]:
    store = open_store(folder)
    return [(key.trial_id, row.evaluation) for key, row in store.evaluation_records()]


def names(*numbers: int) -> list[str]:
    return [f"fixed-tune-{number:03d}" for number in numbers]


def test_the_helper_writes_the_columns_of_version_1(old: Path) -> None:
    assert pq.read_schema(old / "epochs/00000.parquet").equals(EPOCHS)
    assert pq.read_schema(old / "trials/00000.parquet").equals(TRIALS)


def test_every_column_of_version_1_keeps_its_values_and_the_others_are_null(old: Path, new: Path) -> None:
    was, now = open_store(old), open_store(new)
    for table, names_then in (("trials", TRIALS.names), ("evaluations", EPOCHS.names)):
        mine, theirs = getattr(was, table)(), getattr(now, table)()
        assert mine.schema == theirs.schema
        for name in mine.column_names:
            if WAS.get(name, name) in names_then or name == "replicate":
                known = mine[name] == theirs[name] if name not in ("epochs_run", "best_epoch") else True
                assert known, name
            elif name != "workers":
                assert mine[name].null_count == mine.num_rows, name
    trials = was.trials(["evaluations_run", "epochs_run", "best_evaluation", "best_epoch"]).to_pydict()
    assert trials["epochs_run"] == [float(number) for number in trials["evaluations_run"]]
    assert trials["best_epoch"] == [float(number) for number in trials["best_evaluation"]]
    assert [record.workers for record in was.trial_records()] == [1] * 5
    assert [repr(row) for row in was.evaluation_records()] == [repr(row) for row in now.evaluation_records()]


def test_queries_exports_and_data_frames_show_the_current_columns(old: Path, tmp_path: Path) -> None:
    store = open_store(old)
    for table in ("evaluations", "epochs"):
        (counted,) = query_store(store, f"SELECT count(*) n, max(epoch) e FROM {table}").to_pylist()
        assert counted == {"n": 15, "e": 3.0}
    export_store(store, tmp_path / "out", "parquet")
    assert pq.read_table(tmp_path / "out/evaluations.parquet") == store.evaluations()
    assert store.pandas("epochs").equals(store.pandas("evaluations"))
    assert store.epochs(["seed", "epoch"]).column_names == ["seed", "epoch"]


def test_other_readers_open_each_folder_as_one_table_after_the_store_is_continued(old: Path) -> None:
    with StoreWriter.create_or_open(old, study(), chunk_rows=4) as writer:
        writer.append(*trial(7))
    for table in ("trials", "evaluations", "epochs"):
        schemas = {str(pq.read_schema(file)) for file in (old / table).glob("*.parquet")}
        assert len(schemas) == 1, table
    assert len(pd.read_parquet(old / "trials")) == 6
    both = "SELECT count(*) FROM read_parquet(['{0}/epochs/*', '{0}/evaluations/*'], union_by_name=true)"
    assert duckdb.sql(both.format(old)).fetchall() == [(18,)]


@pytest.mark.parametrize("keep", [{}, {names(5)[0]: 1}])
def test_a_store_is_continued_and_every_row_is_there_once(old: Path, keep: dict[str, int]) -> None:
    with StoreWriter.create_or_open(old, study(), keep=keep, chunk_rows=4) as writer:
        for number in range(8):
            writer.append(*trial(number))
    assert sorted(rows_of(old)) == [(name, n) for name in names(*range(8)) for n in (1, 2, 3)]
    assert open_store(old).study.schema_version == 2
    kept = pq.read_table(old / "epochs")["trial_id"].to_pylist()
    assert kept.count("fixed-tune-005") == len(keep)
    states = [record.status for record in open_store(old).trial_records()]
    assert states[:4] == ["completed", "diverged", "failed", "pruned"]


def test_a_retried_trial_leaves_the_old_tables(old: Path) -> None:
    with StoreWriter.create_or_open(old, study(), forget=names(2)) as writer:
        writer.append(*trial(2))
    assert sorted(rows_of(old)) == [(name, n) for name in names(*range(5)) for n in (1, 2, 3)]
    assert "failed" not in open_store(old).trials()["status"].to_pylist()


def test_a_store_half_of_which_is_continued_is_read_as_one(old: Path) -> None:
    """A kill between two files of a continuation leaves files of both versions in one folder."""
    before = (old / "trials/00000.parquet").read_bytes()
    StoreWriter.create_or_open(old, study()).close()
    (old / "trials/00000.parquet").write_bytes(before)
    assert sorted(rows_of(old)) == [(name, n) for name in names(*range(5)) for n in (1, 2, 3)]
    assert examine(open_location(old)).sound


def copied(folder: Path) -> None:
    shutil.copy(folder / "epochs/00000.parquet", folder / "epochs/copy.parquet")


def torn(folder: Path) -> None:
    file = folder / "epochs/00001.parquet"
    file.write_bytes(file.read_bytes()[:-40])


def lost(folder: Path) -> None:
    (folder / "epochs/00001.parquet").unlink()


@pytest.mark.parametrize("damage", [copied, torn, lost])
def test_damage_is_told_repaired_and_continued(old: Path, damage: Any) -> None:
    damage(old)
    with pytest.raises(StoreError):
        open_store(old).evaluations()
    assert not examine(open_location(old)).sound
    repair(open_location(old))
    assert examine(open_location(old)).sound
    assert {pq.read_schema(file).names[4] for file in (old / "epochs").glob("*.parquet")} == {"epoch"}
    with StoreWriter.create_or_open(old, study()) as writer:
        for number in range(5):
            writer.append(*trial(number))
    assert sorted(rows_of(old)) == [(name, n) for name in names(*range(5)) for n in (1, 2, 3)]


def test_a_missing_column_is_named_as_it_was_called(old: Path) -> None:
    file = old / "epochs/00000.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["epoch"]), file)
    with pytest.raises(StoreError, match=r"epochs/00000.parquet: epoch: this column is missing"):
        open_store(old)


def test_a_file_that_another_program_wrote_again_is_told_by_its_columns(old: Path) -> None:
    before = rows_of(old)
    for file in [*old.glob("epochs/*.parquet"), *old.glob("trials/*.parquet")]:
        pq.write_table(pq.read_table(file).replace_schema_metadata(None), file)
    assert rows_of(old) == before


def test_histories_are_imported_again_into_a_store_of_version_1(tmp_path: Path) -> None:
    log = tmp_path / "h.csv"
    log.write_text("epoch,step,val_accuracy\n1,10,0.5\n2,20,0.7\n3,30,0.6\n")
    (made,) = import_histories([log], tmp_path / "out", ImportOptions())
    folder = Path(str(made.location))
    (record,) = open_store(folder).trial_records()
    assert (record.evaluations_run, record.steps_run, record.epochs_run) == (3, 30, 3.0)
    assert (record.best_evaluation, record.best_step, record.best_epoch) == (2, 20, 2.0)
    before = rows_of(as_version_1(folder))
    import_histories([log], tmp_path / "out", ImportOptions())
    assert rows_of(folder) == before
    assert json.loads((folder / "study.json").read_text())["schema_version"] == 2


def test_a_metric_that_the_study_does_not_declare_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    row = epoch(1, metrics={"f1": 0.5})
    key = TrialKey("fixed-tune-000", trial(0)[0][0][0].phase, "fixed", 0)
    with (
        StoreWriter.create_or_open(tmp_path, study()) as writer,
        pytest.raises(ValueError, match="does not declare the metric 'f1'"),
    ):
        writer.append([(key, row)])


def test_declared_metrics_are_columns_that_every_reader_opens(tmp_path: Path) -> None:
    declared = {"perplexity": "min", "val_loss": "min", "f1": {"goal": "max", "low": 0, "high": 1}}
    about = study(spec={"task": {"steps": 50, "metrics": declared}})
    (key, _), *_ = trial(0)[0]
    values = [{"perplexity": 9.5, "val_loss": 2.0, "f1": None}, {"perplexity": float("nan"), "val_loss": 1.0}]
    rows = [epoch(n, metrics=given, epoch=None) for n, given in enumerate(values, start=1)]
    with StoreWriter.create_or_open(tmp_path, about, chunk_rows=1) as writer:
        writer.append([(key, row) for row in rows], [replace(trial(0)[1][0], evaluations_run=2)])
    store = open_store(tmp_path)
    assert [field.name for field in store.evaluations().schema][-2:] == ["perplexity", "f1"]
    assert (store.study.clock, store.study.length) == ("steps", 50)
    query = (
        "SELECT perplexity, isnan(perplexity), f1 IS NULL, val_loss, epoch FROM '{}/evaluations/*.parquet'"
    )
    found = duckdb.sql(query.format(tmp_path)).fetchall()
    assert [row[1:] for row in found] == [(False, True, 2.0, None), (True, True, 1.0, None)]
    assert pd.read_parquet(tmp_path / "evaluations").perplexity.tolist()[0] == 9.5
    schemas = [pq.read_schema(file) for file in (tmp_path / "evaluations").glob("*.parquet")]
    assert len(schemas) == 2
    assert schemas[0].equals(schemas[1], check_metadata=True)
    back = [row for _, row in store.evaluation_records()]
    assert back[0].metrics == {"perplexity": 9.5, "f1": None}
    assert (back[0].val_loss, back[0].value("val_loss"), back[1].value("f1")) == (2.0, 2.0, None)
