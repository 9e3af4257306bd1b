"""Exports of W&B, TensorBoard, MLflow, fairseq, Ray Tune and the Trainer become the runs that they are of."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from import_samples import imported, refused, store_of, values, written

from lrstudy.store import ImportedStudy, ImportOptions, import_histories


def schedules(made: ImportedStudy) -> list[str]:
    return [schedule.name for schedule in made.study.schedules]


CHART = """"Step","fixed - val/accuracy","fixed - val/accuracy__MIN","fixed - val/accuracy__MAX",\
"cosine - hot - val/accuracy"
"100","0.3","0.1","0.9",""
"150","","","","0.45"
"200","0.5","0.5","0.5","0.6"
"""


def test_wandbs_chart_holds_the_runs_of_its_columns_each_at_its_own_steps(tmp_path: Path) -> None:
    made = imported(tmp_path, chart__csv=CHART)
    assert schedules(made) == ["fixed", "cosine - hot"]
    assert values(made, "schedule", "step", "val_accuracy") == [
        ("fixed", 100, 0.3),
        ("fixed", 200, 0.5),
        ("cosine - hot", 150, 0.45),
        ("cosine - hot", 200, 0.6),
    ]
    assert (made.study.clock, made.study.length, made.study.target_clock) == ("steps", 200, "steps")
    assert "counts its log calls" in made.notes[0]


def test_a_chart_over_epochs_is_counted_by_epochs(tmp_path: Path) -> None:
    made = imported(tmp_path, chart__csv='"epoch","a - val_acc","b - val_acc"\n0,.3,.4\n1,.5,.6\n')
    assert values(made, "schedule", "epoch", "step", "val_accuracy") == [
        ("a", 1, None, 0.3),
        ("a", 2, None, 0.5),
        ("b", 1, None, 0.4),
        ("b", 2, None, 0.6),
    ]
    assert (made.study.target_clock, made.study.length) == ("epochs", 2)


def test_tensorboards_downloads_of_one_run_are_one_run(tmp_path: Path) -> None:
    loss = "Wall time,Step,Value\n1700000000.1,50,0.9\n1700000010.1,100,0.7\n"
    accuracy = [[1700000000.2, 50, 0.4], [1700000010.2, 100, 0.6]]
    files = {
        "run-fixed-tag-val_loss__csv": loss,
        "run-fixed-tag-val_accuracy__json": json.dumps(accuracy),
        "run-cosine-tag-val_loss (1)__csv": loss.replace("0.7", "0.5"),
    }
    made = imported(tmp_path, ImportOptions(name="x"), **files)
    assert schedules(made) == ["fixed", "cosine"]
    assert values(made, "schedule", "step", "val_loss", "val_accuracy") == [
        ("fixed", 50, 0.9, 0.4),
        ("fixed", 100, 0.7, 0.6),
        ("cosine", 50, 0.9, None),
        ("cosine", 100, 0.5, None),
    ]


def test_a_scalar_of_keras_is_of_the_split_and_epoch_that_its_run_names(tmp_path: Path) -> None:
    rows = "Wall time,Step,Value\n1.5,0,0.9\n2.5,1,0.7\n"
    files = {f"run-a_{split}-tag-epoch_loss__csv": rows for split in ("train", "validation")}
    made = imported(tmp_path, ImportOptions(name="x"), **files)
    assert schedules(made) == ["a"]
    assert values(made, "epoch", "train_loss", "val_loss") == [(1, 0.9, 0.9), (2, 0.7, 0.7)]


def test_a_scalar_whose_file_does_not_name_it_needs_a_metric(tmp_path: Path) -> None:
    rows = "Wall time,Step,Value\n1700000000.1,0,0.59\n1700000000.3,1,0.7\n"
    assert "Call TensorBoard's file run-RUN-tag-TAG.csv" in refused(tmp_path, a__csv=rows)
    made = imported(tmp_path, ImportOptions(metric="Value:max"), a__csv=rows)
    assert values(made, "step", "Value") == [(1, 0.59), (2, 0.7)]


MLFLOW = """run_id,key,value,step,timestamp
abc,val_acc,0.3,10,1700000000000
abc,val_acc,0.5,20,1700000010000
abc,train_loss,1.5,5,1699999995000
abc,train_loss,1.25,10,1700000000000
def,val_acc,0.4,10,1700000000000
"""


def test_a_list_of_metrics_is_a_run_for_each_id(tmp_path: Path) -> None:
    made = imported(tmp_path, metrics__csv=MLFLOW)
    assert schedules(made) == ["abc", "def"]
    assert values(made, "schedule", "step", "train_loss", "val_accuracy", "train_seconds") == [
        ("abc", 10, 1.375, 0.3, 5.0),
        ("abc", 20, None, 0.5, 10.0),
        ("def", 10, None, 0.4, None),
    ]


def test_a_list_of_metrics_by_epoch_is_a_log_of_epochs(tmp_path: Path) -> None:
    rows = "epoch,metric,value\n1,val_acc,.5\n1,train_loss,2\n2,val_acc,.6\n2,train_loss,1\n"
    made = imported(tmp_path, a__csv=rows)
    assert values(made, "epoch", "train_loss", "val_accuracy") == [(1, 2.0, 0.5), (2, 1.0, 0.6)]


def test_algoperfs_evaluations_are_counted_by_steps_and_timed(tmp_path: Path) -> None:
    rows = (
        "global_step,accumulated_submission_time,train/loss,validation/accuracy\n1,5,2.5,.1\n2260,65,1,.8\n"
    )
    made = imported(tmp_path, ImportOptions(clock="seconds"), a__csv=rows)
    assert values(made, "step", "train_seconds", "train_loss", "val_accuracy") == [
        (1, 5.0, 2.5, 0.1),
        (2260, 60.0, 1.0, 0.8),
    ]
    assert made.study.target_clock == "seconds"


AT = "2024-05-01 10:00:00 | INFO | "
INNER = AT + 'train_inner | {{"epoch": {}, "update": {}, "loss": "{}", "lr": "0.1", "num_updates": "{}"}}'
VALID = AT + 'valid | {{"epoch": {}, "valid_loss": "{}", "valid_ppl": "{}", "valid_num_updates": "{}"}}'
FAIRSEQ = "\n".join(
    [
        AT + "fairseq_cli.train | Namespace(lr=[0.1])",
        INNER.format(1, 0.5, 9.5, 100),
        INNER.format(1, 1.0, 8.5, 200),
        VALID.format(1, "8.0", 256, 200),
        AT + 'train | {"epoch": 1, "train_loss": "9.0", "train_num_updates": "200", "train_wall": "22"}',
        INNER.format(2, 1.5, 7.5, 300),
        VALID.format(2, "7.0", 128, 300),
    ]
)


def test_fairseqs_log_is_read_between_its_other_lines(tmp_path: Path) -> None:
    made = imported(tmp_path, ImportOptions(metric="valid_ppl"), train__log=FAIRSEQ)
    assert values(made, "epoch", "step", "train_loss", "val_loss", "valid_ppl") == [
        (1, 200, 9.0, 8.0, 256.0),
        (2, 300, 7.5, 7.0, 128.0),
    ]
    assert not made.study.metric.higher_is_better
    (tmp_path / "more").mkdir()
    found = refused(tmp_path / "more", train__log=FAIRSEQ.replace('"valid_ppl": "128", ', '"valid_ppl"', 1))
    assert "train.log:7: is not JSON" in found


PROGRESS = (
    "val_loss,mean_accuracy,training_iteration,trial_id,date,time_this_iter_s,time_total_s,pid,config/lr,"
    "config/schedule\n"
    "0.9,0.4,1,ab12_00000,2024-05-01_10-00-00,2.5,2.5,77,0.1,cosine\n"
    "0.7,0.6,2,ab12_00000,2024-05-01_10-00-03,2.0,4.5,77,0.1,cosine\n"
)


def test_ray_tunes_progress_is_named_by_its_configuration(tmp_path: Path) -> None:
    options = ImportOptions(schedule_from=["config.schedule"], metric="mean_accuracy", clock="seconds")
    made = imported(tmp_path, options, progress__csv=PROGRESS)
    assert schedules(made) == ["cosine"]
    assert values(made, "epoch", "train_seconds", "val_loss", "mean_accuracy") == [
        (1, 2.5, 0.9, 0.4),
        (2, 2.0, 0.7, 0.6),
    ]
    assert (made.study.metric.name, made.study.metric.higher_is_better) == ("mean_accuracy", True)
    rows = [
        {"val_loss": loss, "training_iteration": at, "config": {"schedule": "step", "lr": 0.1}}
        for at, loss in ((1, 0.9), (2, 0.8))
    ]
    (tmp_path / "more").mkdir()
    content = "\n".join(map(json.dumps, rows))
    made = imported(tmp_path / "more", ImportOptions(schedule_from=["config.schedule"]), result__json=content)
    assert (schedules(made), values(made, "val_loss")) == (["step"], [(0.9,), (0.8,)])


def test_a_trainers_state_with_evaluations_by_steps_keeps_them_all(tmp_path: Path) -> None:
    log = [
        {"epoch": 0.25, "loss": 0.9, "step": 5},
        {"epoch": 0.5, "loss": 0.7, "step": 10},
        {"epoch": 0.5, "eval_loss": 0.6, "eval_f1": 0.5, "step": 10},
        {"epoch": 1.0, "loss": 0.5, "step": 20},
        {"epoch": 1.0, "eval_loss": 0.4, "eval_f1": 0.7, "step": 20},
    ]
    state = json.dumps({"best_metric": None, "global_step": 20, "log_history": log})
    made = imported(tmp_path, ImportOptions(metric="eval_f1:max"), trainer_state__json=state)
    assert values(made, "epoch", "step", "train_loss", "val_loss", "eval_f1") == [
        (0.5, 10, 0.8, 0.6, 0.5),
        (1.0, 20, 0.5, 0.4, 0.7),
    ]
    assert store_of(made).trial_records()[0].best_val == 0.7


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "chart.csv": (CHART.replace('"0.6"', '"much"'), "chart.csv:4: val/accuracy = 'much': must hold numbers"),
    "empty_chart.csv": ('"Step","a - val_acc"\n1,\n', "is W&B's chart export without a value"),
    "scalar.csv": ("Wall time,Step,Value\n1,one,2\n", "has no column that is a loss"),
    "run-a-tag-val_loss.csv": ("Wall time,Step,Value\n1,one,2\n", ".csv:2: Step = 'one': must hold numbers"),
    "run-b-tag-val_loss.csv": ("Wall time,Step,Value\n1,-1,2\n", ".csv:2: Step = -1: is not a whole number"),
    "run-c-tag-val_loss.csv": (
        "Wall time,Step,Value\n1,5,2\n2,3,2\n",
        ".csv:3: val_loss: the log of c seed 0",
    ),
    "run-d-tag-val_loss.json": ('[[1, 2, "x"]]', "val_loss = 'x': must hold numbers, not string"),
    "run-e-tag-val_loss.json": ("[[1, 2], [1]]", "is JSON, but no log"),
    "run-f-tag-val_loss.json": ("[[1, 2, 0.5], [1, 3,", "is not JSON"),
    "run-g-tag-Step.csv": ("Wall time,Step,Value\n1,5,2\n", "is a scalar called 'Step'"),
    "run-h-tag-val_loss.json": ("[[1, 9223372036854775808, 2]]", "Step = 9223372036854775808: is not"),
    "mlflow.csv": (
        MLFLOW.replace("abc,val_acc,0.5,20", "abc,val_acc,0.5,1e30"),
        "step = 1e+30: is not a whole",
    ),
    "twice.csv": (
        MLFLOW.replace("abc,val_acc,0.5", "abc,val_acc,0.4,10,17\nabc,val_acc,0.5"),
        "twice.csv:3: val_accuracy: abc seed 0 is validated twice",
    ),
    "named.csv": (MLFLOW.replace("train_loss", "step"), "has a metric called 'step', as another column is"),
    "cut.csv.gz": (gzip.compress(CHART.encode())[:60], "cannot be read"),
    "progress.csv": (PROGRESS[:-12], "progress.csv:3: cannot be read (fields: 8, where the header has 10"),
    "trainer_state.json": ('{"log_history": [{"epoch": 1.0, "eval_lo', "is not JSON"),
    "state.json": ('{"log_history": [3]}', "is JSON, but no log"),
    "latin.csv": (CHART.replace("fixed", "fixé").encode("latin-1"), "latin.csv:1: is not text in UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_export_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    content, said = BROKEN[name]
    assert said in (found := refused(tmp_path, **{name.replace(".", "__"): content}))
    assert found.startswith(name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_parquet_log_that_was_cut_is_refused(tmp_path: Path, share: float) -> None:
    pq.write_table(pa.table({"step": range(1000), "val_loss": [0.5] * 1000}), tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    assert "cut.parquet: cannot be read" in refused(
        tmp_path, cut__parquet=content[: int(share * len(content))]
    )


def test_names_of_runs_and_tags_cannot_steer_a_terminal_or_leave_the_folder(tmp_path: Path) -> None:
    chart = '"Step","../../\x1b[31mup - val_acc"\n1,.3\n2,.5\n'
    made = imported(tmp_path, chart__csv=chart)
    assert schedules(made) == ["../../\\x1b[31mup"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chart"]
    options = ImportOptions(task_from=["run.name"])
    (tmp_path / "more").mkdir()
    (paths,) = written(tmp_path / "more", chart__csv=chart)
    (study,) = import_histories([paths], tmp_path / "more" / "out", options)
    assert Path(study.location.path).parent == tmp_path / "more" / "out"
