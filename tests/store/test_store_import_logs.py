"""Logs as Keras and Lightning write them become the runs that they were."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lrstudy.errors import InputError
from lrstudy.store import ImportOptions, Store, import_histories, open_store

# keras.callbacks.CSVLogger of tf.keras 1 (acc) and of Keras 3 with a LearningRateScheduler.
KERAS_1 = (
    "epoch,acc,loss,val_acc,val_loss\n0,0.31,1.91,0.40,1.65\n1,0.47,1.48,0.52,1.33\n2,0.55,1.26,0.58,1.2\n"
)
KERAS_3 = (
    "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n"
    "0,0.35,0.10000000149011612,1.8,0.44,1.5\n1,0.5,0.05,1.4,0.55,1.2\n2,0.6,0.025,1.1,0.61,1.1\n"
)
# lightning.pytorch.loggers.CSVLogger with LearningRateMonitor: rates have rows of their own without an epoch,
# and trainer.test appends one.
HEADER = "epoch,lr-SGD,step,test_acc,test_loss,train_acc,train_loss_epoch,train_loss_step,val_acc,val_loss"
LIGHTNING = f"""{HEADER}
,0.1,49,,,,,,,
0,,49,,,,,1.92,,
,0.1,99,,,,,,,
0,,99,,,,,1.71,,
0,,116,,,,,,0.41,1.62
0,,116,,,0.33,1.85,,,
,0.05,149,,,,,,,
1,,149,,,,,1.44,,
1,,233,,,,,,0.54,1.31
1,,233,,,0.48,1.45,,,
2,,234,0.53,1.33,,,,,
"""


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def only(out: Path) -> Store:
    (study,) = out.iterdir()
    return open_store(study)


def columns(store: Store, *names: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in store.evaluations(list(names)).to_pylist()]


@pytest.mark.parametrize("text", [KERAS_1, KERAS_3])
def test_keras(tmp_path: Path, text: str) -> None:
    (made,) = import_histories([write(tmp_path / "adam.csv", text)], tmp_path / "out")
    assert made.unused == []
    frame = pd.read_csv(tmp_path / "adam.csv").rename(columns={"acc": "accuracy", "val_acc": "val_accuracy"})
    expected = frame[["loss", "accuracy", "val_loss", "val_accuracy"]].itertuples(index=False)
    found = columns(only(tmp_path / "out"), "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    assert found == [tuple(row) for row in expected]
    rates = [lr for (lr,) in columns(only(tmp_path / "out"), "lr")]
    assert rates == ([None] * 3 if text is KERAS_1 else [0.10000000149011612, 0.05, 0.025])


def test_lightning(tmp_path: Path) -> None:
    (made,) = import_histories([write(tmp_path / "metrics.csv", LIGHTNING)], tmp_path / "out")
    assert made.unused == ["test_acc", "test_loss", "train_loss_step"]
    store = only(tmp_path / "out")
    assert columns(store, "epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy") == [
        (1, 117, 1.85, 0.33, 1.62, 0.41),
        (2, 234, 1.45, 0.48, 1.31, 0.54),
    ]
    assert columns(store, "lr", "lr_min", "lr_max") == [(0.1, 0.1, 0.1), (0.05, 0.05, 0.05)]


def test_lightning_rates_after_the_last_row_are_of_the_last_epoch(tmp_path: Path) -> None:
    text = LIGHTNING.rpartition("2,,234")[0] + ",0.01,240,,,,,,,\n"
    import_histories([write(tmp_path / "metrics.csv", text)], tmp_path / "out")
    assert columns(only(tmp_path / "out"), "lr_min", "lr_max")[-1] == (0.01, 0.05)


@pytest.mark.parametrize(
    ("old", "new"), [("1,,149,,,,,1.44,,", ",,149,,,,,,0.5,"), ("1,,233,,,,,,", ",,233,,,,,,")]
)
def test_a_measurement_without_an_epoch_is_refused_with_its_line(tmp_path: Path, old: str, new: str) -> None:
    assert old in LIGHTNING
    text = LIGHTNING.replace(old, new, 1)
    with pytest.raises(InputError, match=r"metrics\.csv:\d+: epoch = None: is not an epoch's number"):
        import_histories([write(tmp_path / "metrics.csv", text)], tmp_path / "out")


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = [
        write(tmp_path / name / "version_0" / "metrics.csv", LIGHTNING)
        for name in ("step", "cosine", "fixed")
    ]
    (made,) = import_histories(files, tmp_path / "out", ImportOptions(name="logs"))
    assert [schedule.name for schedule in made.study.schedules] == ["step", "cosine", "fixed"]
    assert made.study.reference == "fixed"


@pytest.mark.parametrize("text", [KERAS_3, LIGHTNING])
def test_parquet_gives_what_csv_gives(tmp_path: Path, text: str) -> None:
    frame = pd.read_csv(write(tmp_path / "run.csv", text), float_precision="round_trip")
    frame.to_parquet(tmp_path / "run.parquet", index=False)
    import_histories([tmp_path / "run.csv"], tmp_path / "csv")
    import_histories([tmp_path / "run.parquet"], tmp_path / "parquet")
    assert only(tmp_path / "parquet").evaluations() == only(tmp_path / "csv").evaluations()


def test_a_frame_with_categories_and_an_index(tmp_path: Path) -> None:
    frame = pd.read_csv(write(tmp_path / "run.csv", KERAS_3)).assign(schedule="cosine", run=3.0)
    frame["schedule"] = frame.schedule.astype("category")
    frame.set_index("epoch").to_parquet(tmp_path / "run.parquet")
    import_histories([tmp_path / "run.parquet"], tmp_path / "out", ImportOptions(seed_from="run"))
    (trial,) = only(tmp_path / "out").trial_records()
    assert (trial.schedule, trial.seed, trial.evaluations_run) == ("cosine", 3, 3)


def test_a_file_from_a_spreadsheet_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_bytes(b"\xef\xbb\xbf" + KERAS_1.replace("\n", "\r\n").encode())
    import_histories([tmp_path / "run.csv"], tmp_path / "out")
    assert len(columns(only(tmp_path / "out"), "epoch")) == 3
