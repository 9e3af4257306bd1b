"""TensorBoard's event files, written by the writers of torch and TensorBoard, as tables."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util
from torch.utils.tensorboard import SummaryWriter

from lrstudy.errors import InputError
from lrstudy.store import import_histories, open_store
from lrstudy.trackers import read_any
from lrstudy.trackers.event_folders import event_files

STEPS = 300


def events(folder: Path, points: dict[str, dict[int, float]], start: int | None = None) -> Path:
    """Write scalars as TensorBoard's own writer does; ``start`` is where the training says it starts."""
    before = set(event_files(folder))
    writer = EventFileWriter(str(folder))
    if start is not None:
        writer.add_event(Event(step=start, session_log=SessionLog(status=SessionLog.START)))
    for tag, values in points.items():
        for step, value in values.items():
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=1000.0 + step, step=step, summary=summary))
    writer.close()
    (made,) = set(event_files(folder)) - before
    return made.rename(folder / f"events.out.tfevents.{len(before)}")


def column(table: Any, name: str) -> list[float | None]:
    values: list[float | None] = table.columns[name].tolist()
    return values


@pytest.fixture(scope="module")
def torch_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as torch's writer leaves it: curves, texts, images, and hyperparameters in a folder below."""
    folder = tmp_path_factory.mktemp("torch") / "cosine"
    with SummaryWriter(str(folder), filename_suffix=".own") as writer:
        rng = np.random.default_rng(0)
        for step in range(STEPS):
            writer.add_scalar("train/loss", rng.normal(), step * 1000)
            if step % 10 == 9:
                writer.add_scalar("eval/loss", rng.normal() if step != 99 else np.nan, step * 1000)
                writer.add_scalar("eval/accuracy", rng.random(), step * 1000, new_style=True)
        writer.add_text("note", "hello")
        writer.add_histogram("weights", rng.normal(size=100), 0)
        writer.add_hparams({"lr": 0.1, "optimizer": "adamw"}, {"best": 0.5}, run_name="hparams")
    return folder


def test_values_are_those_that_tensorboard_shows(torch_run: Path) -> None:
    (table,) = read_any(str(torch_run))
    shown = EventAccumulator(str(torch_run), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    assert set(table.names) == {"step", "seconds", "train/loss", "eval/loss", "eval/accuracy"}
    for tag in ("train/loss", "eval/loss"):
        points = {event.step: event.value for event in shown.Scalars(tag)}
        read = dict(zip(column(table, "step"), column(table, tag), strict=True))
        np.testing.assert_array_equal([read[step] for step in points], list(points.values()))
        assert all(value is None for step, value in read.items() if step not in points)
    accuracy = [tensor_util.make_ndarray(e.tensor_proto).item() for e in shown.Tensors("eval/accuracy")]
    assert [value for value in column(table, "eval/accuracy") if value is not None] == accuracy
    assert len(table) == STEPS


def test_not_measured_is_none_and_nan_stays_nan(torch_run: Path) -> None:
    (table,) = read_any(str(torch_run))
    read = dict(zip(column(table, "step"), column(table, "eval/loss"), strict=True))
    assert read[0] is None
    assert np.isnan(read[99_000])


def test_hyperparameters_become_constants_of_their_run(torch_run: Path) -> None:
    (table,) = read_any(str(torch_run.parent))
    assert table.constants == {"run.name": "cosine", "config.lr": 0.1, "config.optimizer": "adamw"}


def test_the_trainers_arguments_become_constants(tmp_path: Path) -> None:
    # As TensorBoardCallback of transformers writes them.
    arguments = {
        "lr_scheduler_type": "cosine",
        "seed": 3,
        "optim_args": {"a": 1},
        "report_to": ["tensorboard"],
    }
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("args", json.dumps(arguments, indent=2))
        writer.add_text("model_config", "no JSON")
        writer.add_scalar("eval/loss", 0.5, 10)
    (table,) = read_any(str(tmp_path))
    read = {name: value for name, value in table.constants.items() if name != "run.name"}
    assert read == {"config.lr_scheduler_type": "cosine", "config.seed": 3, "config.optim_args.a": 1}


def test_seconds_count_from_the_first_file(tmp_path: Path) -> None:
    events(tmp_path / "a", {"loss": {1: 0.5, 3: 0.25}})
    (table,) = read_any(str(tmp_path))
    assert column(table, "seconds") == [0.0, 2.0]


def test_tags_are_chosen_by_pattern(torch_run: Path) -> None:
    (table,) = read_any(str(torch_run), ["eval/*"])
    assert set(table.names) == {"step", "seconds", "eval/loss", "eval/accuracy"}
    assert len(table) == STEPS // 10


def test_a_tag_that_fits_none_is_refused_with_those_that_exist(torch_run: Path) -> None:
    with pytest.raises(
        InputError, match=r"cosine: none of its metrics fits --tag 'val\*'\. It has .*eval/loss"
    ):
        read_any(str(torch_run), ["val*"])


def test_each_folder_of_a_tree_is_a_run(tmp_path: Path) -> None:
    for name in ("fixed/0", "cosine/1", "cosine/0"):
        events(tmp_path / name, {"loss": {0: 1.0, 1: 0.5}})
    tables = read_any(str(tmp_path))
    assert [table.constants["run.name"] for table in tables] == ["cosine/0", "cosine/1", "fixed/0"]
    assert [table.where for table in tables] == [
        str(tmp_path / name) for name in ("cosine/0", "cosine/1", "fixed/0")
    ]


def test_a_single_file_is_a_run(tmp_path: Path) -> None:
    file = events(tmp_path, {"loss": {0: 1.0}})
    (table,) = read_any(str(file))
    assert column(table, "loss") == [1.0]


def test_a_resumed_training_replaces_what_it_measured_again(tmp_path: Path) -> None:
    events(tmp_path, {"loss": dict.fromkeys(range(100), 1.0), "rare": {50: 1.0, 90: 1.0}})
    events(tmp_path, {"loss": dict.fromkeys(range(60, 80), 2.0)})
    (table,) = read_any(str(tmp_path))
    assert column(table, "step") == [*range(80)]
    assert column(table, "loss") == [1.0] * 60 + [2.0] * 20
    assert [step for step, rare in enumerate(column(table, "rare")) if rare is not None] == [50]
    assert "training continued from an earlier step: 41 points replaced" in table.notes[0]


def test_a_tag_whose_steps_count_epochs_stays_when_a_training_is_resumed(tmp_path: Path) -> None:
    events(tmp_path, {"loss": dict.fromkeys(range(100, 200), 1.0), "epoch_loss": {1: 3.0, 2: 2.0}})
    events(tmp_path, {"loss": dict.fromkeys(range(150, 160), 2.0)})
    (table,) = read_any(str(tmp_path))
    assert [value for value in column(table, "epoch_loss") if value is not None] == [3.0, 2.0]


def test_the_pause_before_a_training_is_resumed_does_not_count(tmp_path: Path) -> None:
    for number, (first, begun) in enumerate([(0, 1000.0), (10, 9000.0)]):
        with (tmp_path / f"events.out.tfevents.{number}").open("wb") as file:
            writer = RecordWriter(file)
            writer.write(Event(wall_time=begun, file_version="brain.Event:2").SerializeToString())
            for step in range(first, first + 10):
                summary = Summary(value=[Summary.Value(tag="val/loss", simple_value=1.0)])
                event = Event(wall_time=begun + 2.0 * (step - first + 1), step=step, summary=summary)
                writer.write(event.SerializeToString())
    made = import_histories([tmp_path], tmp_path / "out", read=read_any)
    seconds = open_store(made[0].location).evaluations(["train_seconds"])["train_seconds"].to_pylist()
    assert seconds[1:] == pytest.approx([2.0] * (len(seconds) - 1))


def test_a_file_that_begins_at_the_last_step_replaces_that_point_alone(tmp_path: Path) -> None:
    # Lightning's test after its fit: a second file, with the epoch at the last step once more.
    events(tmp_path, {"epoch": {0: 0.0, 9: 1.0}})
    events(tmp_path, {"epoch": {9: 2.0}, "test_loss": {9: 0.5}})
    (table,) = read_any(str(tmp_path))
    assert column(table, "epoch") == [0.0, 2.0]
    assert table.notes == []


def test_points_behind_a_restart_are_dropped_as_tensorboard_does(tmp_path: Path) -> None:
    events(tmp_path, {"loss": dict.fromkeys(range(100), 1.0)})
    events(tmp_path, {"loss": dict.fromkeys(range(70, 75), 2.0)}, start=70)
    (table,) = read_any(str(tmp_path))
    shown = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload().Scalars("loss")
    assert column(table, "step") == [event.step for event in shown]
    assert column(table, "loss") == [event.value for event in shown]


def test_of_several_values_at_a_step_the_last_one_counts(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for value in (1.0, 2.0, 3.0):
            for step in range(20):
                writer.add_scalar("loss", value, step)
    (table,) = read_any(str(tmp_path))
    assert column(table, "loss") == [3.0] * 20
    said = "loss has steps with several values. The last of each counts, 40 are left out"
    assert said in table.notes[0]


def test_the_last_value_counts_whichever_form_the_writer_gave_it(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for value, new_style in ((1.0, True), (2.0, False)):
            for step in range(20):
                writer.add_scalar("loss", value, step, new_style=new_style)
    (table,) = read_any(str(tmp_path))
    assert column(table, "loss") == [2.0] * 20


def test_a_restart_inside_a_file_drops_the_points_behind_it(tmp_path: Path) -> None:
    writer = EventFileWriter(str(tmp_path))
    for steps in (range(30), range(20, 25)):
        writer.add_event(Event(step=steps[0], session_log=SessionLog(status=SessionLog.START)))
        for step in steps:
            summary = Summary(value=[Summary.Value(tag="loss", simple_value=len(steps))])
            writer.add_event(Event(step=step, summary=summary))
    writer.close()
    (table,) = read_any(str(tmp_path))
    assert column(table, "step") == list(range(25))
    assert column(table, "loss") == [30.0] * 20 + [5.0] * 5


def test_files_are_joined_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    first = events(tmp_path, {"loss": dict.fromkeys(range(10), 1.0)})
    first.rename(tmp_path / "events.out.tfevents.9")
    second = events(tmp_path, {"loss": dict.fromkeys(range(5, 10), 2.0)})
    second.rename(tmp_path / "events.out.tfevents.10")
    (table,) = read_any(str(tmp_path))
    assert column(table, "loss") == [1.0] * 5 + [2.0] * 5


def test_scalars_of_a_group_belong_to_the_run_above(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / "run")) as writer:
        for step in range(3):
            writer.add_scalars("my/loss", {"train": 1.0, "val": 2.0}, step)
    (table,) = read_any(str(tmp_path))
    assert table.constants["run.name"] == "run"
    assert column(table, "my/loss/val") == [2.0] * 3


def test_keras_folders_of_splits_are_one_run_by_epoch(tmp_path: Path) -> None:
    # As keras.callbacks.TensorBoard writes them: a tensor per epoch, in the folders train and validation.
    for split in ("train", "validation"):
        events(tmp_path / "run" / split, {"epoch_loss": {0: 1.0, 1: 0.5}, "batch_loss": {0: 3.0, 9: 1.0}})
    (table,) = read_any(str(tmp_path))
    assert set(table.names) == {"epoch", "seconds", "train/loss", "validation/loss"}
    assert column(table, "epoch") == [0, 1]


def test_negative_and_large_steps_keep_their_values(tmp_path: Path) -> None:
    steps = [*range(-20, 40), 2**40, 2**62]
    events(tmp_path, {"loss": {step: float(number) for number, step in enumerate(steps)}})
    (table,) = read_any(str(tmp_path))
    assert column(table, "step") == steps
    assert column(table, "loss") == list(range(len(steps)))


def test_tags_of_equal_length_stay_apart(tmp_path: Path) -> None:
    tags = [f"metric/{letter}" for letter in "abcdefgh"]
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(200):
            for number, tag in enumerate(tags):
                writer.add_scalar(tag, step + number / 8, step)
    (table,) = read_any(str(tmp_path))
    for number, tag in enumerate(tags):
        assert column(table, tag) == [step + number / 8 for step in range(200)]


def test_a_merged_summary_gives_all_its_scalars(tmp_path: Path) -> None:
    writer = EventFileWriter(str(tmp_path))
    for step in range(20):
        values = [Summary.Value(tag=tag, simple_value=step) for tag in ("a", "b")]
        writer.add_event(Event(step=step, summary=Summary(value=values)))
    writer.close()
    (table,) = read_any(str(tmp_path))
    assert column(table, "a") == column(table, "b") == list(range(20))


@pytest.fixture
def damaged(torch_run: Path, tmp_path: Path) -> Path:
    """A copy of the run's file, to be damaged."""
    (file,) = torch_run.glob("events*.own")
    return Path(shutil.copy(file, tmp_path / file.name))


def refused(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_any(str(file.parent))
    return str(caught.value)


def test_a_file_that_is_cut_is_refused_with_place_and_remedy(damaged: Path) -> None:
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-3])
    message = refused(damaged)
    assert message.startswith(f"{damaged}: ends inside the record that begins at byte ")
    place = int(message.split("at byte ")[1].split(".")[0])
    assert f"truncate -s {place} FILE" in message
    damaged.write_bytes(content[:place])
    assert len(read_any(str(damaged))) == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_refused_with_its_record(damaged: Path, share: float) -> None:
    content = bytearray(damaged.read_bytes())
    content[int(len(content) * share)] ^= 0x10
    damaged.write_bytes(content)
    message = refused(damaged)
    assert f"{damaged}: is damaged: the record at byte " in message
    assert "Copy the file again" in message


def test_a_record_that_claims_more_than_the_file_is_refused_at_once(damaged: Path) -> None:
    content = bytearray(damaged.read_bytes())
    content[:8] = struct.pack("<Q", 1 << 62)
    damaged.write_bytes(content)
    assert "is damaged: the record at byte 0" in refused(damaged)


@pytest.mark.parametrize("content", [b"", b"step,loss\n1,0.5\n", b"\0" * 1000])
def test_what_is_no_event_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(content)
    assert str(tmp_path) in refused(file)


def test_names_that_could_steer_a_terminal_are_escaped(tmp_path: Path) -> None:
    events(tmp_path / "run", {"loss\x1b[2J\nx": {0: 1.0}})
    (table,) = read_any(str(tmp_path))
    assert "loss\\x1b[2J\\nx" in table.names
    with pytest.raises(InputError) as caught:
        read_any(str(tmp_path), ["x\x1b"])
    assert "\x1b" not in str(caught.value)


def test_more_cells_than_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events(tmp_path, {f"tag{n}": {n: 1.0} for n in range(30)})
    monkeypatch.setattr("lrstudy.trackers.run_tables.MOST_CELLS", 500)
    with pytest.raises(InputError, match=r"has 30 steps and 32 metrics: .*--tag"):
        read_any(str(tmp_path))


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path: Path) -> None:
    events(tmp_path, {"loss": {0: 1.0}})
    os.mkfifo(tmp_path / "events.out.tfevents.pipe")
    (table,) = read_any(str(tmp_path))
    assert column(table, "loss") == [1.0]


def test_a_run_without_scalars_is_left_out_with_a_note(tmp_path: Path) -> None:
    events(tmp_path / "a", {"loss": {0: 1.0}})
    with SummaryWriter(str(tmp_path / "b")) as writer:
        writer.add_text("note", "hello")
    (table,) = read_any(str(tmp_path))
    assert table.notes == [f"{tmp_path / 'b'}: left out, it has no scalars that fit"]
    with pytest.raises(InputError, match="has no scalars, only note/text_summary"):
        read_any(str(tmp_path / "b"))
