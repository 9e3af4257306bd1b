"""Recorded histories become stores: names, runs, mistakes."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.errors import InputError
from lrstudy.records import Phase, Status
from lrstudy.store import ImportOptions, import_histories, open_store
from lrstudy.store.columns import RECORDED, canonical

KERAS = (
    "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n0,0.5,0.1,0.9,0.4,1.0\n1,0.6,0.05,0.8,0.7,0.9\n"
)
LIGHTNING = """epoch,lr-SGD,step,train_acc_epoch,train_loss_epoch,train_loss_step,val_acc,val_loss
0,0.1,4,,,0.95,,
0,0.3,9,,,0.85,,
0,,9,,,,0.4,1.0
0,,9,0.5,0.9,,,
1,0.2,14,,,0.75,,
1,,19,,,,0.7,0.9
1,,19,0.6,0.8,,,
"""


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def history(rows: list[tuple[object, ...]], header: str = "schedule,seed,epoch,val_acc") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def problems(file: Path, out: Path, options: ImportOptions | None = None) -> str:
    with pytest.raises(InputError) as refusal:
        import_histories([file], out, options)
    assert not out.exists()  # nothing is written
    return str(refusal.value)


def test_a_keras_log_becomes_a_study(tmp_path: Path) -> None:
    file = write(tmp_path / "cosine.csv", KERAS)
    (made,) = import_histories([file], tmp_path / "out")
    assert (made.runs, made.evaluations, made.unused) == (1, 2, [])
    store = open_store(tmp_path / "out" / "cosine")
    (trial,) = store.trial_records()
    assert (trial.trial_id, trial.phase, trial.status) == (
        "cosine-confirm-000",
        Phase.CONFIRM,
        Status.COMPLETED,
    )
    assert (trial.evaluations_run, trial.best_val, trial.best_evaluation, trial.started_at) == (
        2,
        0.7,
        2,
        None,
    )
    rows = [record for _, record in store.evaluation_records()]
    assert [(row.epoch, row.lr, row.train_loss, row.train_accuracy) for row in rows] == [
        (1, 0.1, 0.9, 0.5),
        (2, 0.05, 0.8, 0.6),
    ]
    assert [(row.val_loss, row.val_accuracy, row.train_seconds, row.step) for row in rows] == [
        (1.0, 0.4, None, None),
        (0.9, 0.7, None, None),
    ]
    study = store.study
    assert (study.reference, study.length, study.trials, study.confirm_seeds) == ("cosine", 2, 0, 1)
    assert study.schedules[0].kind == "recorded"


def test_lightnings_log_of_steps_becomes_epochs(tmp_path: Path) -> None:
    import_histories([write(tmp_path / "metrics.csv", LIGHTNING)], tmp_path / "out")
    rows = [record for _, record in open_store(tmp_path / "out" / "metrics").evaluation_records()]
    assert [(r.epoch, r.step, r.train_loss, r.train_accuracy, r.val_loss, r.val_accuracy) for r in rows] == [
        (1, 10, 0.9, 0.5, 1.0, 0.4),
        (2, 20, 0.8, 0.6, 0.9, 0.7),
    ]
    assert [(r.lr, r.lr_min, r.lr_max) for r in rows] == [(0.2, 0.1, 0.3), (0.2, 0.2, 0.2)]


def test_keras_and_lightning_files_of_one_task_are_compared(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.csv", KERAS), write(tmp_path / "fixed.csv", LIGHTNING)]
    (made,) = import_histories(files, tmp_path / "out", ImportOptions(name="both"))
    assert [schedule.name for schedule in made.study.schedules] == ["a", "fixed"]
    assert (made.study.name, made.study.reference) == ("both", "fixed")


def test_columns_name_tasks_schedules_and_seeds(tmp_path: Path) -> None:
    header = "net,opt,schedule,variant,seed,epoch,val_loss,flavour"
    rows = [
        (net, "sgd", schedule, variant, seed, epoch, 1 / epoch, "x")
        for net in ("mlp", "cnn")
        for schedule, variant in (("step", "0.10"), ("step", "0.1"), ("fixed", ""))
        for seed in (7, 3)
        for epoch in (1, 2)
    ]
    file = write(tmp_path / "h.csv", history(rows, header))
    options = ImportOptions(
        ["net", "opt"], ["schedule", "variant"], "seed", "step-0.10", "val_loss", [0.6], "paper"
    )
    made = import_histories([file], tmp_path / "out", options)
    assert [study.study.name for study in made] == ["paper-mlp-sgd", "paper-cnn-sgd"]
    assert made[0].unused == ["flavour"]
    store = open_store(made[1].location)
    assert (store.study.reference, store.study.targets, store.study.confirm_seeds) == ("step-0.10", [0.6], 2)
    assert [(t.trial_id, t.seed) for t in store.trial_records()] == [
        (f"{name}-confirm-00{number}", seed)
        for name in ("step-0.10", "step-0.1", "fixed")
        for number, seed in enumerate((3, 7))
    ]
    assert store.trial_records()[0].params == {"schedule": "step", "variant": "0.10"}


def test_a_name_cannot_steer_a_terminal_or_break_a_line(tmp_path: Path) -> None:
    table = pa.table({"schedule": ["a\x1b[31m\nb"] * 2, "epoch": [1, 2], "val_acc": [0.1, 0.2]})
    pq.write_table(table, tmp_path / "h.parquet")
    (made,) = import_histories([tmp_path / "h.parquet"], tmp_path / "out")
    assert [schedule.name for schedule in made.study.schedules] == ["a\\x1b[31m\\nb"]


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    table = pa.table(
        {"schedule": ["a", "a"], "epoch": [1.0, 2.0], "val_acc": [0.1, math.nan], "samples": [5.0, None]}
    )
    pq.write_table(table, tmp_path / "h.parquet")
    import_histories([tmp_path / "h.parquet"], tmp_path / "out")
    rows = [record for _, record in open_store(tmp_path / "out" / "h").evaluation_records()]
    assert rows[0].samples == 5
    assert rows[1].samples is None
    assert rows[1].val_accuracy is not None
    assert math.isnan(rows[1].val_accuracy)


def test_nan_in_csv_is_a_value_and_an_empty_field_is_not(tmp_path: Path) -> None:
    text = "schedule,epoch,val_loss,val_acc\na,1,nan,0.5\na,2,,NaN\na,3,inf,\n"
    import_histories([write(tmp_path / "h.csv", text)], tmp_path / "out")
    rows = [record for _, record in open_store(tmp_path / "out" / "h").evaluation_records()]
    assert [str(row.val_loss) for row in rows] == ["nan", "None", "inf"]
    assert [str(row.val_accuracy) for row in rows] == ["0.5", "nan", "None"]


@pytest.mark.parametrize(
    ("losses", "status", "evaluations_run", "best_evaluation"),
    [
        (["1", "0.5", "0.7"], Status.COMPLETED, 3, 2),
        (["1", "nan", "nan"], Status.DIVERGED, 2, 1),
        (["1", "nan", "0.2"], Status.COMPLETED, 3, 3),
        (["inf", "inf", "inf"], Status.DIVERGED, 1, 1),
    ],
)
def test_a_run_whose_losses_end_in_nan_diverged(
    tmp_path: Path, losses: list[str], status: Status, evaluations_run: int, best_evaluation: int
) -> None:
    text = history([("a", number, loss) for number, loss in enumerate(losses)], "schedule,epoch,val_loss")
    import_histories([write(tmp_path / "h.csv", text)], tmp_path / "out")
    (trial,) = open_store(tmp_path / "out" / "h").trial_records()
    assert (trial.status, trial.evaluations_run, trial.best_evaluation) == (
        status,
        evaluations_run,
        best_evaluation,
    )
    assert (trial.objective is None) == (status is Status.DIVERGED)


def test_importing_again_changes_nothing_and_other_data_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "h.csv", KERAS)
    import_histories([file], tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    (again,) = import_histories([file], tmp_path / "out", ImportOptions())
    assert (again.runs, again.evaluations) == (1, 2)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before
    write(file, KERAS.replace("0.7", "0.8"))
    with pytest.raises(InputError, match="belongs to the study 'h'"):
        import_histories([file], tmp_path / "out")


def test_repeated_missing_and_unordered_epochs_of_every_run_are_listed_at_once(tmp_path: Path) -> None:
    rows = [("twice", 1, e, 0.5) for e in (1, 2, 2, 3)]
    rows += [("holes", 1, e, 0.5) for e in (1, 2, 5, 9)]
    rows += [("late", 1, e, 0.5) for e in (5, 6)]
    rows += [("mixed", 1, e, 0.5) for e in (1, 3, 2)]
    rows += [("fine", 1, e, 0.5) for e in (0, 1, 2)]
    text = problems(
        write(tmp_path / "h.csv", history(rows)), tmp_path / "out", ImportOptions(seed_from="seed")
    )
    assert "epoch 2 of twice seed 1 is repeated" in text
    assert "epochs 3, 4, 6, 7, 8 of holes seed 1 are missing" in text
    assert "epochs 1, 2, 3, 4 of late seed 1 are missing" in text
    assert f"{tmp_path / 'h.csv'}:14: epoch: the epochs of mixed seed 1 are out of order" in text
    assert text.count("\n") == 3


def test_runs_without_a_seed_column_look_like_repeated_epochs_and_the_remedy_says_so(tmp_path: Path) -> None:
    rows = [("a", seed, epoch, 0.5) for seed in (1, 2) for epoch in (1, 2)]
    text = problems(write(tmp_path / "h.csv", history(rows)), tmp_path / "out")
    assert "are repeated" in text
    assert "--seed-from" in text


def test_a_log_of_steps_that_holds_an_epoch_twice_is_refused(tmp_path: Path) -> None:
    text = LIGHTNING + "1,,19,,,,0.8,0.9\n"
    found = problems(write(tmp_path / "metrics.csv", text), tmp_path / "out")
    assert "metrics.csv:9: epoch: epoch 2 of metrics seed 0 is repeated" in found
    assert "this row and that on line 7 (step 19 is not after the one before)" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("schedule,epoch,val_acc\n", "has no rows"),
        ("schedule,val_acc\na,0.5\n", "epoch: there is no such column"),
        ("schedule,epoch\na,1\n", "no column that is a loss or an accuracy"),
        ("schedule,epoch,val_acc\na,one,0.5\n", "must hold numbers, not string"),
        ("schedule,epoch,val_acc\na,1.5,0.5\n", "= 1.5: is not an epoch's number"),
        ("schedule,epoch,val_acc\na,,0.5\na,1,0.5\n", "h.csv:2: epoch = None: is not an epoch's number"),
        ("schedule,epoch,val_acc\na,-1,0.5\n", "is not an epoch's number"),
        ("schedule,epoch,val_acc\na,1,89.4\n", "divide percentages by 100"),
        ("schedule,epoch,acc,accuracy\na,1,0.5,0.5\n", "acc, accuracy: these columns mean the same"),
        ("schedule,epoch,val_acc,val_acc\na,1,0.5,0.5\n", "val_acc: is in the header twice"),
        ("schedule,epoch,val_acc,step\na,1,0.5,2.5\n", "step = 2.5: is not a whole number"),
        ("schedule,epoch,val_acc\na,1,0.5\nb\n", "cannot be read"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str, message: str) -> None:
    found = problems(write(tmp_path / "h.csv", text), tmp_path / "out")
    assert message in found
    assert "h.csv" in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ImportOptions(task_from=["datset"]), "datset: no such column. Did you mean 'dataset'?"),
        (ImportOptions(schedule_from=["sched"]), "sched: no such column. Did you mean 'schedule'?"),
        (ImportOptions(seed_from="schedule"), "schedule = 'a': is not a seed"),
        (ImportOptions(reference="aa"), "is not one of its schedules. Did you mean 'a'?"),
        (ImportOptions(metric="val_los"), "is not a metric. Did you mean 'val_loss'?"),
        (ImportOptions(metric="val_loss"), "not all of its runs have val_loss"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: ImportOptions, message: str) -> None:
    file = write(tmp_path / "h.csv", "dataset,schedule,epoch,val_acc\nd,a,1,0.5\nd,b,1,0.5\n")
    assert message in problems(file, tmp_path / "out", options)


def test_no_files_and_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file was given"):
        import_histories([], tmp_path)
    assert "No such file" in problems(tmp_path / "nothing.csv", tmp_path / "out")


def test_names_that_run_together_stay_two(tmp_path: Path) -> None:
    rows = [("a-b", "c"), ("a", "b-c")]
    tasks = history([(*names, "s", 1, 0.5) for names in rows], "m,d,schedule,epoch,val_acc")
    made = import_histories([write(tmp_path / "t.csv", tasks)], tmp_path / "out", ImportOptions(["m", "d"]))
    assert len({study.location.path for study in made}) == 2
    schedules = history([(*names, 1, 0.5) for names in rows], "m,d,epoch,val_acc")
    options = ImportOptions(schedule_from=["m", "d"])
    text = problems(write(tmp_path / "s.csv", schedules), tmp_path / "more", options)
    assert "would both be called 'a-b-c'" in text


@given(st.text(max_size=20))
def test_any_name_is_a_column_of_the_store_or_none(name: str) -> None:
    assert canonical(name) in {*RECORDED, None}


@pytest.mark.parametrize("name", RECORDED)
def test_the_stores_own_names_are_kept(name: str) -> None:
    assert canonical(name) == name
