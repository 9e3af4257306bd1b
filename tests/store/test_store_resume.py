"""Going on with a store: what is kept, dropped, repeated and refused."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import SPEC, epoch, study, trial

from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, open_store


def stored(folder: Path) -> dict[str, list[int]]:
    """The epochs of each trial, in the store's order."""
    found: dict[str, list[int]] = {}
    for key, record in open_store(folder).evaluation_records():
        found.setdefault(key.trial_id, []).append(record.epoch)
    return found


def test_a_finished_store_is_left_as_it_is(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=4) as writer:
        assert not writer.resumed
        for number in range(5):
            writer.append(*trial(number))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=4) as writer:
        assert writer.resumed
        assert writer.last_evaluations == {f"fixed-tune-{number:03d}": 3 for number in range(5)}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(1, 4), max_size=4), min_size=1, max_size=5), st.integers(1, 6))
def test_reopening_at_any_point_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[list[int]], chunk_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    expected = {}
    for session in sessions:
        with StoreWriter.create_or_open(folder, study(), chunk_rows=chunk_rows) as writer:
            for epochs in session:
                number = len(expected)
                expected[f"fixed-tune-{number:03d}"] = list(range(1, epochs + 1))
                writer.append(*trial(number, epochs))
    assert stored(folder) == expected
    assert [record.trial_id for record in open_store(folder).trial_records()] == list(expected)
    files = len(open_store(folder).files("evaluations"))
    assert files == -(-sum(map(len, expected.values())) // chunk_rows)


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 7, 100])
def test_epochs_without_a_trial_row_go_unless_a_checkpoint_covers_them(
    tmp_path: Path, chunk_rows: int
) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=chunk_rows) as writer:
        for number in range(3):
            writer.append(trial(number, 4)[0])
        writer.append(*trial(3))
    keep = {"fixed-tune-001": 2, "fixed-tune-002": 9, "never-seen": 4}
    with StoreWriter.create_or_open(tmp_path, study(), keep=keep, chunk_rows=chunk_rows) as writer:
        assert writer.last_evaluations == {"fixed-tune-001": 2, "fixed-tune-002": 4, "fixed-tune-003": 3}
        writer.append(*trial(1, 4))
        writer.append(*trial(0, 4))
        writer.append((), trial(2, 4)[1])
    four, three = [1, 2, 3, 4], [1, 2, 3]
    assert stored(tmp_path) == {
        "fixed-tune-000": four, "fixed-tune-001": four, "fixed-tune-002": four, "fixed-tune-003": three,
    }  # fmt: skip


def test_rows_that_a_retried_trial_repeats_are_not_doubled(tmp_path: Path) -> None:
    rows, ends = trial(0, 4)
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(rows[:2])
        writer.append(rows[:3])
        writer.append(rows + rows, ends + ends)
        writer.append(rows, ends)
    assert stored(tmp_path) == {"fixed-tune-000": [1, 2, 3, 4]}
    assert open_store(tmp_path).trials().num_rows == 1


def test_a_gap_in_a_trials_epochs_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    key = trial(0)[0][0][0]
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        with pytest.raises(ValueError, match="evaluation 2 follows evaluation 0"):
            writer.append([(key, epoch(2))])
        writer.append([(key, epoch(1))], trial(0, 1)[1])
    assert stored(tmp_path) == {"fixed-tune-000": [1]}


def test_another_study_is_refused_with_what_differs_and_a_remedy(tmp_path: Path) -> None:
    StoreWriter.create_or_open(tmp_path, study()).close()
    others = {"no key differs": study(spec_hash="fff999"), 'name: "digits" → ': study(name='it\'s "mine"')}
    for said, other in others.items():
        with pytest.raises(StoreError) as refusal:
            StoreWriter.create_or_open(tmp_path, other)
        text = str(refusal.value)
        assert "belongs to the study 'digits'" in text
        assert said in text
        assert "another --out" in text
        assert text.endswith(f"lrstudy resume {tmp_path}")
    assert not (tmp_path / ".writer.lock").exists()


def test_new_targets_are_the_same_study_and_are_what_the_store_then_says(tmp_path: Path) -> None:
    StoreWriter.create_or_open(tmp_path, study(hardware={"cpus": 2})).close()
    target = SPEC["target"] | {"values": [0.5, 0.6]}
    changed = study(spec={"target": target}, hardware={"cpus": 64})
    StoreWriter.create_or_open(tmp_path, changed).close()
    now = open_store(tmp_path).study
    assert now.targets == [0.5, 0.6]
    assert now.hardware == {"cpus": 2}  # what the first run was made on


def test_tables_without_a_study_are_not_taken_over(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(0))
    (tmp_path / "study.json").unlink()
    with pytest.raises(StoreError, match=r"no study\.json.*Restore"):
        StoreWriter.create_or_open(tmp_path, study())


def test_a_folder_with_other_files_is_fine(tmp_path: Path) -> None:
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "state.json").write_text("{}")
    StoreWriter.create_or_open(tmp_path, study()).close()
    assert open_store(tmp_path).study == study()


def test_a_damaged_store_is_not_continued(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(0))
    (tmp_path / "evaluations" / "00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="is damaged"):
        StoreWriter.create_or_open(tmp_path, study())
    assert not (tmp_path / ".writer.lock").exists()


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(0))
    leftovers = [
        tmp_path / ".study.json.tmp",
        tmp_path / "evaluations/.00000.parquet.tmp",
        tmp_path / "trials/.00007.parquet.tmp",
    ]
    for path in leftovers:
        path.write_bytes(b"PAR1 half")
    StoreWriter.create_or_open(tmp_path, study()).close()
    assert not any(path.exists() for path in leftovers)
    assert stored(tmp_path) == {"fixed-tune-000": [1, 2, 3]}


def test_a_second_live_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    writer = StoreWriter.create_or_open(tmp_path, study())
    with pytest.raises(StoreError, match=rf"process {os.getpid()} on .*another --out"):
        StoreWriter.create_or_open(tmp_path, study())
    writer.close()
    StoreWriter.create_or_open(tmp_path, study()).close()
    assert not (tmp_path / ".writer.lock").exists()


def _write_and_hang(folder: Path, ready: object) -> None:
    writer = StoreWriter.create_or_open(folder, study())
    writer.append(*trial(0))
    ready.set()  # type: ignore[attr-defined]
    signal.pause()


def test_the_lock_of_a_killed_writer_is_broken(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=_write_and_hang, args=(tmp_path, ready))
    child.start()
    assert ready.wait(60)
    with pytest.raises(StoreError, match=f"process {child.pid} on"):
        StoreWriter.create_or_open(tmp_path, study())
    child.kill()
    child.join()
    assert json.loads((tmp_path / ".writer.lock").read_text())["pid"] == child.pid
    with StoreWriter.create_or_open(tmp_path, study()) as writer:
        writer.append(*trial(1))
    assert list(stored(tmp_path)) == ["fixed-tune-000", "fixed-tune-001"]


def test_a_lock_file_that_is_removed_while_it_is_taken_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, file, removed = fcntl.flock, tmp_path / ".writer.lock", []

    def flock(lock: IO[str], how: int) -> None:
        if not removed:  # the writer before lets go between our opening and our locking the file
            removed.append(file)
            file.unlink()
        real(lock, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    writer = StoreWriter.create_or_open(tmp_path, study())
    assert removed
    with pytest.raises(StoreError, match="another lrstudy is writing here"):
        StoreWriter.create_or_open(tmp_path, study())
    writer.close()


def test_a_store_being_written_shows_the_trials_that_have_ended(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=2) as writer:
        store = open_store(tmp_path)
        assert store.trials().num_rows == store.evaluations().num_rows == 0
        writer.append(*trial(0))
        writer.append(trial(1, 2)[0])
        assert (store.refreshed().trials().num_rows, store.refreshed().evaluations().num_rows) == (1, 3)
        writer.append(*trial(1, 2))
        assert (store.refreshed().trials().num_rows, store.refreshed().evaluations().num_rows) == (2, 5)
        # Opened before any trial had ended, it stays as it was.
        assert store.trials().num_rows == store.evaluations().num_rows == 0
