"""A damaged store examined, and made one that can be resumed, without a wrong or a lost row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import STARTED, Rows, epoch, study, trial

from lrstudy.errors import StoreError
from lrstudy.store import Repair, StoreWriter, examine, open_location, open_store, repair
from lrstudy.store.table_schema import evaluations_table, trials_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "run", [trial(number) for number in range(6)])


def write(folder: Path, rows: list[Rows]) -> Path:
    with StoreWriter.create_or_open(folder, study(), chunk_rows=4) as writer:
        for one in rows:
            writer.append(*one)
    return folder


def second_driver(folder: Path, tmp_path: Path, rows: list[Rows]) -> None:
    """Leave what a second driver without a lock left: its rows, in files beside the first one's."""
    other = write(tmp_path / "other", rows)
    for table in ("trials", "evaluations"):
        for file in sorted((other / table).iterdir()):
            shutil.copy(file, folder / table / f"9{file.name}")


def stored(folder: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for key, record in open_store(folder).evaluation_records():
        found.setdefault(key.trial_id, []).append(record.epoch)
    return found


def names(*numbers: int) -> list[str]:
    return [f"fixed-tune-{number:03d}" for number in numbers]


def resumed(folder: Path) -> None:
    """Run what is missing, as a resume does, and look if the store is whole."""
    with StoreWriter.create_or_open(folder, study(), chunk_rows=4) as writer:
        for number in range(6):
            writer.append(*trial(number))
    assert examine(open_location(folder)).sound
    assert stored(folder) == {name: [1, 2, 3] for name in names(*range(6))}


def test_a_sound_store_is_left_as_it_is(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    found = examine(open_location(folder))
    assert found.sound
    assert found.files == {"trials": 2, "evaluations": 5}
    assert found.rows == {"trials": 6, "evaluations": 18}
    assert repair(open_location(folder)) == Repair([], [], [])
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_what_two_drivers_left_is_refused_and_repaired(folder: Path, tmp_path: Path) -> None:
    def later(number: int, **changes: float) -> Rows:
        rows, (record,) = trial(number)
        slower = [(key, replace(row, train_seconds=9.0, **changes)) for key, row in rows]
        return slower, [replace(record, ended_at=STARTED.replace(hour=5), node="there")]

    second_driver(folder, tmp_path, [later(1), later(2, val_loss=0.4), later(4)])
    with pytest.raises(StoreError, match=f"more than once.*lrstudy doctor {folder}"):
        open_store(folder)
    with pytest.raises(StoreError, match=f"lrstudy doctor {folder}"):
        StoreWriter.create_or_open(folder, study())
    found = examine(open_location(folder))
    assert (found.doubled_trials, found.doubled_evaluations) == (names(1, 2, 4), names(1, 2, 4))
    # Trial 2 came out otherwise: neither of its two is kept.
    assert repair(open_location(folder)) == Repair([], names(1, 4), names(2))
    assert stored(folder) == {name: [1, 2, 3] for name in names(0, 1, 3, 4, 5)}
    assert {record.node for record in open_store(folder).trial_records()} == {"here"}
    resumed(folder)


def doubled_epochs(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "evaluations/00000.parquet", folder / "evaluations/copy.parquet")


def lost_file(folder: Path, tmp_path: Path) -> None:
    (folder / "evaluations/00002.parquet").unlink()


def ended_without_epochs(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", [trial(7)])
    shutil.copy(other / "trials/00000.parquet", folder / "trials/00009.parquet")


def damaged_epochs(folder: Path, tmp_path: Path) -> None:
    file = folder / "evaluations/00001.parquet"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)


def damaged_trials(folder: Path, tmp_path: Path) -> None:
    (folder / "trials/00000.parquet").write_bytes(b"PAR1")


@pytest.mark.parametrize(
    ("damage", "done"),
    [
        (doubled_epochs, Repair([], names(0, 1), [])),
        (lost_file, Repair([], [], names(2, 3))),
        (ended_without_epochs, Repair([], [], names(7))),
        (damaged_epochs, Repair(["evaluations/00001.parquet"], [], names(1, 2))),
        (damaged_trials, Repair(["trials/00000.parquet"], [], [])),
    ],
)
def test_each_damage_is_refused_then_repaired_then_resumed(
    folder: Path, tmp_path: Path, damage: Callable[[Path, Path], None], done: Repair
) -> None:
    damage(folder, tmp_path)
    assert not examine(open_location(folder)).sound
    with pytest.raises(StoreError, match=f"lrstudy doctor {folder}"):
        open_store(folder).evaluations()
    with pytest.raises(StoreError, match=f"lrstudy doctor {folder}"):
        StoreWriter.create_or_open(folder, study())
    assert repair(open_location(folder)) == done
    for name in done.set_aside:
        assert (folder / f"{name}.damaged").exists()
    assert repair(open_location(folder)) == Repair([], [], [])
    resumed(folder)


def test_recorded_histories_may_leave_epochs_out(tmp_path: Path) -> None:
    rows, ends = trial(0, 6)
    imported = study(spec={"imported": {"files": ["log.csv"]}})
    with StoreWriter.create_or_open(tmp_path, imported) as writer:
        every_other = evaluations_table(rows[1::2])
        writer.append_tables(every_other, trials_table([replace(ends[0], evaluations_run=6)]))
    assert examine(open_location(tmp_path)).sound
    assert open_store(tmp_path).evaluations()["epoch"].to_pylist() == [2, 4, 6]


def test_each_repair_keeps_what_it_sets_aside(folder: Path) -> None:
    for content in (b"PAR1", b"PAR1PAR1"):
        (folder / "evaluations/00004.parquet").write_bytes(content)
        repair(open_location(folder))
    assert (folder / "evaluations/00004.parquet.damaged").read_bytes() == b"PAR1"
    assert (folder / "evaluations/00004.parquet.damaged.damaged").read_bytes() == b"PAR1PAR1"


def test_epochs_before_a_trial_has_ended_are_no_damage(folder: Path) -> None:
    with StoreWriter.create_or_open(folder, study()) as writer:
        writer.append(trial(6)[0][:2])
    found = examine(open_location(folder))
    assert found.sound
    assert found.unfinished == names(6)


def test_a_failed_trial_may_have_fewer_epochs_than_it_began(tmp_path: Path) -> None:
    rows, ends = trial(0, 2)
    write(tmp_path, [(rows, [replace(ends[0], status="failed", evaluations_run=3)])])
    assert examine(open_location(tmp_path)).sound
    assert open_store(tmp_path).evaluations().num_rows == 2


def test_a_store_that_is_being_written_is_not_repaired(folder: Path) -> None:
    with (
        StoreWriter.create_or_open(folder, study()),
        pytest.raises(StoreError, match="another lrstudy is writing here"),
    ):
        repair(open_location(folder))


def test_a_file_of_a_newer_version_is_not_set_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "evaluations/00001.parquet"
    with monkeypatch.context() as patch:
        patch.setattr("lrstudy.store.chunks.SCHEMA_VERSION", 3)
        write(folder.parent / "newer", [trial(number) for number in range(3)])
    shutil.copy(folder.parent / "newer/evaluations/00001.parquet", file)
    with pytest.raises(StoreError, match="newer lrstudy"):
        repair(open_location(folder))
    assert file.exists()


def test_rows_of_one_epoch_twice_in_one_file_are_found(tmp_path: Path) -> None:
    rows, ends = trial(0)
    key = rows[0][0]
    write(tmp_path, [(rows, ends)])
    again = write(tmp_path / "other", [([(key, epoch(1))], [])])
    shutil.copy(again / "evaluations/00000.parquet", tmp_path / "evaluations/00005.parquet")
    with pytest.raises(StoreError, match="1 trial has evaluations that are stored more than once"):
        open_store(tmp_path).evaluations()
