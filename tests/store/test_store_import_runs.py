"""Which run a row is of, and what it is judged by: trackers' tables, paths, patterns, any metric."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from import_samples import from_tables, imported, refused, run, store_of, values

from lrstudy.analysis import analyse
from lrstudy.store import ImportOptions, import_histories, open_store
from lrstudy.store.log_formats import LogTable

# Tables of trackers: arrays, one run each.


def test_the_runs_of_a_tracker_are_named_by_their_configuration(tmp_path: Path) -> None:
    tables = [
        run(f"run {at}", {"config.schedule": name, "config.seed": seed}, step=[1, 2], eval__loss=[0.5, 0.25])
        for at, (name, seed) in enumerate(itertools.product(("cosine", "fixed"), (7, 3)))
    ]
    made = from_tables(tmp_path, *tables, schedule_from=["config.schedule"], name="x")
    found = [(trial.trial_id, trial.seed) for trial in store_of(made).trial_records()]
    assert found == [
        ("cosine-confirm-000", 3),
        ("cosine-confirm-001", 7),
        ("fixed-confirm-000", 3),
        ("fixed-confirm-001", 7),
    ]
    assert made.notes == []


def test_runs_without_a_seed_are_numbered_and_the_import_says_so(tmp_path: Path) -> None:
    tables = [run(name, {"params.kind": "a"}, step=[1, 2], val_loss=[0.5, 0.25]) for name in "xyz"]
    made = from_tables(tmp_path, *tables, schedule_from=["params.kind"], name="s")
    assert [trial.seed for trial in store_of(made).trial_records()] == [0, 1, 2]
    assert "no seed is named: the runs of each schedule are numbered" in made.notes[0]
    alone = from_tables(tmp_path, *tables, name="t")
    assert [schedule.name for schedule in alone.study.schedules] == ["x", "y", "z"]


@pytest.mark.parametrize("kind", ["lists", "masked arrays", "arrow"])
def test_lists_masked_arrays_and_arrow_are_the_same_log(tmp_path: Path, kind: str) -> None:
    cells: dict[str, list[Any]] = {
        "step": [1, 1, 2, 3],
        "train/loss": [2.0, None, float("nan"), 1.0],
        "val/loss": [None, 0.5, None, 0.25],
    }
    columns: dict[str, Any] = dict(cells)
    if kind == "masked arrays":
        columns = {
            name: np.ma.MaskedArray([x or 0 for x in row], [x is None for x in row])
            for name, row in cells.items()
        }
    elif kind == "arrow":
        columns = {name: pa.chunked_array([row]) for name, row in cells.items()}
    made = from_tables(tmp_path, LogTable("r", columns, [None] * 4, constants={"run.name": "r"}))
    (first, second) = values(made, "step", "train_loss", "val_loss")
    assert first == (1, 2.0, 0.5)
    assert second[0] == 3
    assert np.isnan(second[1])
    assert second[2] == 0.25


def test_whole_epochs_of_a_trackers_run_are_those_that_run(tmp_path: Path) -> None:
    made = from_tables(
        tmp_path, run("r", step=[4, 9, 14, 19], epoch=[0, 0, 1, 1], val_acc=[0.1, 0.2, 0.3, 0.4])
    )
    assert values(made, "epoch", "step") == [(0.5, 5), (1.0, 10), (1.5, 15), (2.0, 20)]
    assert (made.study.target_clock, made.study.length) == ("epochs", 2)


def test_a_counter_of_calls_counts_only_where_nothing_else_does(tmp_path: Path) -> None:
    made = from_tables(tmp_path, run("r", _step=[0, 1, 2], val_loss=[3.0, 2.0, 1.0]), name="a")
    assert [step for (step,) in values(made, "step")] == [1, 2, 3]
    assert "_step counts calls of W&B's log" in made.notes[0]
    columns = {"_step": [5, 10], "trainer/global_step": [49, 99], "val_loss": [3.0, 2.0]}
    table = LogTable("r", columns, [None] * 2, constants={"run.name": "r"})
    made = from_tables(tmp_path, table, name="b")
    assert [step for (step,) in values(made, "step")] == [50, 100]


def test_a_clock_that_other_rows_have_is_interpolated_and_the_import_says_so(tmp_path: Path) -> None:
    log = "step,tokens,val_loss\n10,1000,\n15,,.9\n20,2000,\n30,3000,.8\n"
    made = imported(tmp_path, a__csv=log)
    assert values(made, "step", "tokens") == [(15, 1500), (30, 3000)]
    assert "tokens at evaluations is interpolated" in made.notes[0]


# Who and what.


@pytest.mark.parametrize(
    ("options", "schedule", "seed"),
    [
        (ImportOptions(schedule_from=["path:2"], seed_from="path:1"), "cosine", 7),
        (ImportOptions(schedule_from=["{schedule}/seed{seed}.csv"]), "cosine", 7),
        (ImportOptions(seed_from="{schedule}/{}{seed}"), "cosine", 7),
        (ImportOptions(schedule_from=["{task}/{schedule}/{}.csv"]), "cosine", 0),
        (ImportOptions(schedule_from=["path:3", "path:2"]), "digits-cosine", 0),
    ],
)
def test_a_path_names_the_run(tmp_path: Path, options: ImportOptions, schedule: str, seed: int) -> None:
    file = tmp_path / "digits" / "cosine" / "seed7.csv"
    file.parent.mkdir(parents=True)
    file.write_text("step,val_loss\n1,.5\n2,.4\n")
    (made,) = import_histories([file], tmp_path / "out", options)
    (trial,) = store_of(made).trial_records()
    assert (trial.schedule, trial.seed) == (schedule, seed)


SELECTORS = {
    "no such value": (ImportOptions(schedule_from=["config.schedul"]), "config.schedul: no such column"),
    "a part that the path has not": (ImportOptions(schedule_from=["path:99"]), "path:99: the path has"),
    "part 0": (ImportOptions(schedule_from=["path:0"]), "path:1 is the file's name without its endings"),
    "another pattern": (
        ImportOptions(schedule_from=["{schedule}_{seed}.csv"]),
        "the path does not end in this pattern",
    ),
    "no number": (ImportOptions(seed_from="path:1"), "path:1 = 'a': is not a seed"),
}


@pytest.mark.parametrize("case", SELECTORS)
def test_a_selector_without_a_value_is_refused(tmp_path: Path, case: str) -> None:
    options, said = SELECTORS[case]
    assert said in refused(tmp_path, options, a__csv="step,val_loss\n1,.5\n")


METRICS = {
    "any column": ("val_f1", "val_f1", True),
    "with its goal": ("score x:min", "score_x", False),
    "of the store": ("val_loss:min", "val_loss", False),
    "a log's name of one of the store": ("eval/acc:max", "val_accuracy", True),
}


@pytest.mark.parametrize("case", METRICS)
def test_any_column_can_judge(tmp_path: Path, case: str) -> None:
    wanted, name, higher = METRICS[case]
    log = "step,val_loss,eval/acc,val_f1,score x\n1,.5,.5,.5,.5\n2,.4,.6,.6,.4\n"
    made = imported(tmp_path, ImportOptions(metric=wanted), a__csv=log)
    assert (made.study.metric.name, made.study.metric.higher_is_better) == (name, higher)
    (trial,) = store_of(made).trial_records()
    assert trial.best_val == (0.6 if higher else 0.4)
    assert analyse(open_store(made.location)).metric.name == name


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("score", "is a column without a known goal. Say whether less or more is better: score:min"),
        ("val_loss:max", "has another goal. val_loss has the goal min"),
        ("lr:min", "is no metric, but a column of the store"),
        ("nothing:min", "is not a metric"),
    ],
)
def test_a_metric_that_cannot_judge_is_refused(tmp_path: Path, metric: str, said: str) -> None:
    log = "step,val_loss,lr,heat\n1,.5,.1,1\n"
    metric = metric.replace("score", "heat")
    found = refused(tmp_path, ImportOptions(metric=metric), a__csv=log)
    assert said.replace("score", "heat") in found
