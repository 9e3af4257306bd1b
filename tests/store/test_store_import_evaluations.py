"""Which rows of a log are epochs, and which of their values were measured."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from import_samples import METRICS, imported, refused, store_of, values

from lrstudy.records import Status
from lrstudy.store import ImportOptions

LIGHTNING = "epoch,step,train_loss,val_loss,val_acc\n"
TWO_EPOCHS = LIGHTNING + "0,9,,0.7,0.5\n0,9,0.9,,\n1,19,,0.5,0.6\n1,19,0.6,,\n"
TWO = [(1, 10, 0.9, 0.7, 0.5), (2, 20, 0.6, 0.5, 0.6)]

# Logs of the same two epochs, and what is said of each.
SAME = {
    "validate after fit": (TWO_EPOCHS + "2,20,,0.4,0.95\n", "6: a validation after the training is left out"),
    "validate after fit, in the last epoch": (
        TWO_EPOCHS + "1,20,,0.4,0.95\n",
        "6: a validation after the training is left out",
    ),
    "validate and test after fit": (
        "\n".join(line + "," for line in TWO_EPOCHS.splitlines()).replace("val_acc,", "val_acc,test_acc", 1)
        + "\n2,20,,0.4,0.95,\n2,20,,,,0.9\n",
        "6: a validation after the training is left out",
    ),
    "validate before fit": (
        TWO_EPOCHS.replace("0,9,,", "0,0,,3,0.1\n0,9,,", 1),
        "2: a validation before the training is left out",
    ),
    "NaN where a row has no value": (TWO_EPOCHS.replace(",,", ",nan,").replace(",,", ",nan,"), ""),
    "NaN everywhere": (
        LIGHTNING + "0,9,nan,0.7,0.5\n0,9,0.9,nan,nan\n1,19,nan,0.5,0.6\n1,19,0.6,nan,nan\n",
        "",
    ),
    "a row per epoch": (LIGHTNING + "0,9,0.9,0.7,0.5\n1,19,0.6,0.5,0.6\n", ""),
    "steps from 1": (LIGHTNING + "1,10,0.9,0.7,0.5\n2,20,0.6,0.5,0.6\n", ""),
}


@pytest.mark.parametrize("case", SAME)
def test_the_epochs_are_those_that_were_trained(tmp_path: Path, case: str) -> None:
    log, said = SAME[case]
    made = imported(tmp_path, metrics__csv=log)
    assert values(made, "epoch", "step", "train_loss", "val_loss", "val_accuracy") == TWO
    (trial,) = store_of(made).trial_records()
    assert (trial.best_val, trial.best_evaluation, trial.evaluations_run) == (0.6, 2, 2)
    assert [note.partition("metrics.csv:")[2] for note in made.notes] == ([said] if said else [])


TWICE = TWO_EPOCHS.replace("0,9,,", "0,4,,3,0.1\n0,9,,").replace("1,19,,", "1,14,,2,0.1\n1,19,,")


def test_each_validation_of_an_epoch_is_an_evaluation(tmp_path: Path) -> None:
    made = imported(tmp_path, metrics__csv=TWICE)
    assert values(made, "evaluation", "epoch", "step", "train_loss", "val_loss", "val_accuracy") == [
        (1, 0.5, 5, None, 3.0, 0.1),
        (2, 1.0, 10, 0.9, 0.7, 0.5),
        (3, 1.5, 15, None, 2.0, 0.1),
        (4, 2.0, 20, 0.6, 0.5, 0.6),
    ]
    (trial,) = store_of(made).trial_records()
    assert (trial.best_val, trial.best_evaluation, trial.best_step, trial.best_epoch) == (0.6, 4, 20, 2)
    assert (trial.evaluations_run, trial.steps_run, trial.epochs_run) == (4, 20, 2)
    assert (made.study.length, made.study.target_clock) == (2, "epochs")
    assert made.notes[0].endswith("metrics.csv:2: an epoch has several validations: each is an evaluation")


def test_an_epoch_that_was_cut_short_ends_where_those_before_it_would(tmp_path: Path) -> None:
    made = imported(tmp_path, metrics__csv=TWICE + "2,24,,0.4,0.7\n")
    assert values(made, "epoch", "step")[-1] == (2.5, 25)
    assert (made.study.length, made.study.target_clock) == (25, "steps")


def test_validations_that_only_a_counter_of_calls_orders_are_equally_far_apart(tmp_path: Path) -> None:
    rows = "_step,epoch,train/loss,val/acc\n0,0,0.9,\n1,0,,0.5\n2,0,,0.6\n3,1,0.6,\n4,1,,0.7\n5,1,,0.8\n"
    made = imported(tmp_path, a__csv=rows)
    assert values(made, "epoch", "val_accuracy") == [(0.5, 0.5), (1.0, 0.6), (1.5, 0.7), (2.0, 0.8)]
    assert "taken as equally far apart" in made.notes[0]


def test_an_epoch_that_was_cut_short_before_its_training_row_is_kept(tmp_path: Path) -> None:
    made = imported(tmp_path, metrics__csv=TWO_EPOCHS + "2,29,,0.4,0.7\n")
    assert values(made, "epoch", "step", "val_accuracy")[-1] == (3, 30, 0.7)


def test_validations_alone_are_told_from_one_after_the_training_by_their_steps(tmp_path: Path) -> None:
    made = imported(tmp_path, metrics__csv="epoch,step,val_acc\n0,9,0.5\n1,19,0.6\n2,20,0.95\n")
    assert values(made, "epoch", "step", "val_accuracy") == [(1, 10, 0.5), (2, 20, 0.6)]


def test_without_steps_a_last_epoch_that_trained_nothing_is_left_out(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv="epoch,train_loss,val_acc\n0,1,0.5\n1,0.9,0.6\n2,,0.95\n")
    assert values(made, "epoch", "val_accuracy") == [(1, 0.5), (2, 0.6)]


def test_an_evaluation_as_epoch_0_is_no_epoch(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv="epoch,train_loss,val_acc\n0,,0.1\n1,0.9,0.6\n2,0.8,0.7\n")
    assert values(made, "epoch", "val_accuracy") == [(1, 0.6), (2, 0.7)]


def test_the_last_epoch_of_a_log_without_validation_in_it_stays(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv="epoch,step,val_acc\n1,10,\n2,20,0.6\n3,30,\n")
    assert values(made, "epoch", "val_accuracy") == [(1, None), (2, 0.6), (3, None)]


def test_one_epoch_of_a_run_may_be_spread_over_two_files(tmp_path: Path) -> None:
    files = {
        "a__csv": "schedule,epoch,step,train_loss\ns,1,10,0.5\n",
        "b__csv": "schedule,epoch,val_acc\ns,1,0.6\n",
    }
    made = imported(tmp_path, ImportOptions(name="x"), **files)
    assert values(made, "epoch", "step", "train_loss", "val_accuracy") == [(1, 10, 0.5, 0.6)]


TRAINER = "loss,learning_rate,epoch,step,eval_loss,eval_accuracy,train_runtime,train_loss\n"


def test_the_trainers_log(tmp_path: Path) -> None:
    rows = ["0.9,1e-3,0.5,50,,,,", "0.8,5e-4,1.0,100,,,,", ",,1.0,100,0.7,0.6,,", "0.5,4e-4,2.0,200,,,,"]
    rows += [",,2.0,200,0.5,0.8,,", ",,2.0,200,,,12.3,0.65"]
    expected = [(1, 100, 0.7, 0.6), (2, 200, 0.5, 0.8)]
    made = imported(tmp_path, a__csv=TRAINER + "\n".join(rows))
    assert values(made, "epoch", "step", "val_loss", "val_accuracy") == expected
    assert [loss for (loss,) in values(made, "train_loss")] == pytest.approx([0.85, 0.5])
    # evaluate() of the best weights, and evaluate() before the first step, are no epochs.
    (tmp_path / "b").mkdir()
    rows = [",,0,0,2,0.1,,", *rows, ",,2.0,200,0.7,0.95,,"]
    made = imported(tmp_path / "b", b__csv=TRAINER + "\n".join(rows))
    assert values(made, "epoch", "step", "val_loss", "val_accuracy") == expected
    assert [note.rpartition(": ")[2] for note in made.notes] == [
        "a validation before the training is left out",
        "a validation after the training is left out",
    ]


def test_the_trainers_evaluations_are_at_the_epochs_and_steps_that_it_writes(tmp_path: Path) -> None:
    rows = [",,0.0,0,2,0.1,,", "0.9,1e-3,0.0,10,,,,", ",,0.5,500,0.8,0.5,,", ",,1.5,1500,0.7,0.6,,"]
    made = imported(tmp_path, a__csv=TRAINER + "\n".join(rows))
    assert values(made, "epoch", "step", "val_accuracy") == [(0.5, 500, 0.5), (1.5, 1500, 0.6)]
    assert (made.study.clock, made.study.length) == ("steps", 1500)


def test_wandbs_history_has_a_row_per_call_and_counts_them(tmp_path: Path) -> None:
    rows = "_step,epoch,train/loss,val/loss,val/acc\n0,0,0.9,,\n1,0,,0.8,0.5\n2,1,0.6,,\n3,1,,0.5,0.7\n"
    made = imported(tmp_path, a__csv=rows)
    assert values(made, "step", "train_loss", "val_loss", "val_accuracy") == [
        (None, 0.9, 0.8, 0.5),
        (None, 0.6, 0.5, 0.7),
    ]
    assert made.unused == []


def test_steps_that_start_again_in_every_epoch_are_no_count_of_steps(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv="epoch,step,loss\n0,0,1\n0,1,0.5\n1,0,0.5\n1,1,0.25\n")
    assert values(made, "epoch", "step", "train_loss") == [(1, None, 0.75), (2, None, 0.375)]
    assert made.notes[0].endswith("step starts again in every epoch: not used")


# Other vocabularies.

FILES = {
    "timm": (
        "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n0,6.9,6.8,1.2,4.5,0.1\n1,6.5,6.2,5.0,14.0,0.2\n",
        [(6.9, None, 6.8, 0.012), (6.5, None, 6.2, 0.05)],
        ["eval_top5"],
    ),
    "torch's examples": (
        (
            '{"epoch": 0, "train_loss": 6.9, "test_loss": 6.5, "test_acc1": 5.0}\n'
            '{"epoch": 1, "train_loss": 6.5, "test_loss": 6.2, "test_acc1": 8.0}\n'
        ),
        [(6.9, None, 6.5, 0.05), (6.5, None, 6.2, 0.08)],
        [],
    ),
    "several data loaders": (
        (
            "epoch,train_loss,val_loss/dataloader_idx_0,val_acc/dataloader_idx_0,val_acc/dataloader_idx_1\n"
            "0,0.5,0.4,0.3,0.2\n1,0.4,0.3,0.5,0.4\n"
        ),
        [(0.5, None, 0.4, 0.3), (0.4, None, 0.3, 0.5)],
        ["val_acc/dataloader_idx_1"],
    ),
    "a test split in every epoch": (
        "epoch,train_loss,test_loss,test_acc\n0,0.5,0.3,0.4\n1,0.4,0.5,0.5\n",
        [(0.5, None, 0.3, 0.4), (0.4, None, 0.5, 0.5)],
        [],
    ),
    "fastai": (
        "epoch,train_loss,valid_loss,accuracy,time\n0,1.0,1.1,0.5,00:10\n1,0.9,1.2,0.6,00:10\n",
        [(1.0, None, 1.1, 0.5), (0.9, None, 1.2, 0.6)],
        ["time"],
    ),
    "ultralytics": (
        (
            "  epoch,  train/loss, metrics/accuracy_top1, metrics/accuracy_top5, val/loss, lr/pg0\n"
            "  1, 2.5, 0.11, 0.5, 2.25, 0.1\n  2, 2.0, 0.21, 0.6, 2.0, 0.1\n"
        ),
        [(2.5, None, 2.25, 0.11), (2.0, None, 2.0, 0.21)],
        ["metrics/accuracy_top5"],
    ),
    "a test after the training": (
        "epoch,train_loss,val_acc,test_acc\n0,0.5,0.3,\n1,0.4,0.5,0.9\n",
        [(0.5, None, None, 0.3), (0.4, None, None, 0.5)],
        ["test_acc"],
    ),
}


@pytest.mark.parametrize("library", FILES)
def test_the_validation_columns_of_other_libraries(tmp_path: Path, library: str) -> None:
    log, rows, unused = FILES[library]
    made = imported(tmp_path, run__log=log)
    assert values(made, *METRICS) == rows
    assert made.unused == unused
    assert made.study.metric.name == "val_accuracy"


def test_a_top_1_accuracy_that_may_be_a_fraction_is_refused(tmp_path: Path) -> None:
    found = refused(tmp_path, a__csv="epoch,eval_top1\n0,0.5\n1,0.9\n")
    assert "eval_top1: may be a percentage or a fraction: no value is above 1.5" in found


# NaN.

NAN = {
    "every second epoch": ("0,1,nan,nan\n1,.9,.8,.6\n2,.8,nan,nan\n", [None, 0.6, None], None),
    "losses alone": ("0,1,.9,\n1,.9,nan,\n2,.8,.7,\n3,.7,nan,\n", [0.9, None, 0.7, None], None),
    "every third": ("0,1,nan,\n1,1,nan,\n2,1,.7,\n3,1,nan,\n4,1,nan,\n", [None, None, 0.7, None, None], None),
    "never": ("0,1,nan,nan\n1,.9,nan,nan\n", [None, None], None),
    "the last epoch": ("0,1,.9,.5\n1,.9,nan,nan\n", [0.5, None], None),
    "the training too": ("0,1,.9,.5\n1,nan,nan,nan\n2,nan,nan,nan\n", [0.5, "nan", "nan"], 2),
    "then the training": ("0,1,.9,\n1,.9,nan,\n2,nan,nan,\n", [0.9, "nan", "nan"], 2),
    "an accuracy beside it": ("0,1,.9,.5\n1,.9,nan,.1\n", [0.5, 0.1], 2),
    "a loss that was always measured": ("0,1,.9,\n1,.9,.8,\n2,.8,nan,\n", [0.9, 0.8, "nan"], 3),
    "nothing else": ("0,nan,nan,nan\n1,nan,nan,nan\n", ["nan", "nan"], 1),
}


@pytest.mark.parametrize("case", NAN)
def test_nan_is_no_measurement_where_nothing_was_validated(tmp_path: Path, case: str) -> None:
    rows, expected, diverged_at = NAN[case]
    log = "epoch,loss,val_loss,val_accuracy\n" + rows
    made = imported(tmp_path, run__csv=log)
    column = "val_accuracy" if any(row.split(",")[3] for row in rows.split()) else "val_loss"
    found = [value for (value,) in values(made, column)]
    assert ["nan" if value is not None and math.isnan(value) else value for value in found] == expected
    (trial,) = store_of(made).trial_records()
    assert (trial.status is Status.DIVERGED) == (diverged_at is not None)
    assert trial.evaluations_run == (diverged_at or len(expected))


def test_nan_and_empty_cells_give_the_same_runs(tmp_path: Path) -> None:
    log = "schedule,epoch,loss,val_loss,val_acc\n" + "".join(
        f"{name},{epoch},{1 / (epoch + 1)},{loss},{loss}\n"
        for name in ("cosine", "fixed")
        for epoch, loss in enumerate(("nan", 0.5, "nan", 0.7, "nan"))
    )
    found = []
    for name, text in (("nan", log), ("empty", log.replace("nan", ""))):
        (tmp_path / name).mkdir()
        store = store_of(imported(tmp_path / name, ImportOptions(name="x"), run__csv=text))
        found.append((store.evaluations().to_pylist(), store.trials().to_pylist()))
    assert found[0] == found[1]


def test_a_validation_at_an_earlier_step_is_not_taken_for_one_after_the_training(tmp_path: Path) -> None:
    made = imported(tmp_path, metrics__csv="epoch,step,val_loss\n1,100,0.5\n2,50,0.4\n")
    assert values(made, "epoch", "val_loss") == [(1, 0.5), (2, 0.4)]


@pytest.mark.parametrize("rows", ['{"epoch":1,"val_loss":[1,2]}', '{"loss":[1,2],"val_loss":[2]}'])
def test_a_list_within_a_row_is_not_several_epochs(tmp_path: Path, rows: str) -> None:
    assert "must hold numbers" in (said := refused(tmp_path, log__json=rows)) or "different lengths" in said


def test_what_is_no_list_beside_lists_holds_for_each_epoch(tmp_path: Path) -> None:
    options = ImportOptions(seed_from="seed")
    made = imported(tmp_path, options, log__json='{"seed":3,"loss":[1,2],"val_loss":[2,1]}')
    assert values(made, "epoch", "seed", "val_loss") == [(1, 3, 2.0), (2, 3, 1.0)]
