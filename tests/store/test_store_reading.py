"""A store that is written while it is read: a whole older or newer state, never damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_samples import epoch, study, trial

from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, TrialKey, export_store, open_store, query_store
from lrstudy.store.location import Location

COUNT = "SELECT trial_id, count(*) AS n FROM epochs GROUP BY ALL ORDER BY ALL"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of readers, which are recorded instead of waited for."""
    pauses: list[float] = []
    monkeypatch.setattr("lrstudy.store.verified.time.sleep", pauses.append)
    return pauses


def stored(folder: Path, trials: int = 1) -> None:
    """Write a store of so many trials."""
    with StoreWriter.create_or_open(folder, study()) as writer:
        for number in range(trials):
            writer.append(*trial(number))


def between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let ``act`` happen after each listing and each read of a file."""
    busy: list[bool] = []

    def after(method: Callable[[Location], Any]) -> Callable[[Location], Any]:
        def wrapped(place: Location) -> Any:
            answer = method(place)
            if not busy:
                busy.append(True)
                act()
                busy.clear()
            return answer

        return wrapped

    for name in ("read", "names"):
        monkeypatch.setattr(Location, name, after(getattr(Location, name)))


@pytest.mark.parametrize("chunk_rows", [2, 5, 100])
def test_a_writer_that_acts_between_any_two_reads_is_seen_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    with StoreWriter.create_or_open(tmp_path / "run", study(), chunk_rows=chunk_rows) as writer:
        writer.append(*trial(0))
        number = [1]

        def append() -> None:
            writer.append(*trial(number[0]))
            number[0] += 1

        with monkeypatch.context() as patch:
            between(patch, append)
            store = open_store(tmp_path / "run")
            names = store.trials(["trial_id"])["trial_id"].to_pylist()
            epochs = [(key.trial_id, row.epoch) for key, row in store.evaluation_records()]
            counts = query_store(store, COUNT).to_pylist()
            export_store(store, tmp_path / "out", "json")
            assert store.trials(["trial_id"])["trial_id"].to_pylist() == names
        assert number[0] > 5  # it did act
    assert names == [f"fixed-tune-{n:03d}" for n in range(len(names))]
    assert epochs == [(name, n) for name in names for n in (1, 2, 3)]
    assert counts == [{"trial_id": name, "n": 3} for name in names]
    assert (tmp_path / "out/evaluations.json").read_text().count('"evaluation"') == 3 * len(names)


def test_epochs_of_trials_that_have_not_ended_are_not_shown_by_any_reader(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=4) as writer:
        writer.append(*trial(0))
        writer.append(trial(1)[0])
        writer.append([(TrialKey(**_key("fixed-tune-002")), epoch(1))])
        store = open_store(tmp_path)
        assert store.evaluations().num_rows == len(list(store.evaluation_records())) == 3
        assert query_store(store, COUNT).to_pylist() == [{"trial_id": "fixed-tune-000", "n": 3}]
        assert sum(part.num_rows for part in store.tables("evaluations")) == 3


def _key(trial_id: str) -> dict[str, Any]:
    key = trial(0)[0][0][0]
    return {"trial_id": trial_id, "phase": key.phase, "schedule": key.schedule, "seed": key.seed}


def test_epochs_that_a_resume_removes_meanwhile_are_not_missed(tmp_path: Path) -> None:
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=3) as writer:
        writer.append(*trial(0))
        writer.append(trial(1)[0])
    store = open_store(tmp_path)
    assert len(store.files("evaluations")) == 2
    StoreWriter.create_or_open(tmp_path, study(), chunk_rows=3).close()
    assert len(open_store(tmp_path).files("evaluations")) == 1
    assert store.evaluations().num_rows == 3
    assert len(query_store(store, COUNT)) == 1


def test_trials_that_a_retry_removes_meanwhile_are_told_from_damage(tmp_path: Path) -> None:
    stored(tmp_path, 2)
    store = open_store(tmp_path)
    StoreWriter.create_or_open(tmp_path, study(), forget=["fixed-tune-001"]).close()
    with pytest.raises(StoreError, match=r"trials were removed while it was read.*not damaged"):
        store.evaluations()


@pytest.mark.parametrize("file", ["study.json", "trials/00000.parquet", "evaluations/00000.parquet"])
def test_a_part_of_a_newer_file_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: list[float], file: str
) -> None:
    stored(tmp_path)
    read, seen = Location.read, []

    def torn(place: Location) -> bytes:
        content = read(place)
        if place.path.endswith(file):
            seen.append(len(content))
            if len(seen) < 4:  # what a server gives that replaces the file between the size and the bytes
                return content[: -20 * len(seen)]
        return content

    monkeypatch.setattr(Location, "read", torn)
    assert open_store(tmp_path).evaluations().num_rows == 3
    assert len(seen) == 4
    assert len(slow) == 3


@pytest.mark.parametrize("file", ["trials/00000.parquet", "evaluations/00000.parquet"])
def test_a_file_that_never_reads_the_same_is_being_written_and_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: list[float], file: str
) -> None:
    stored(tmp_path)
    read, seen = Location.read, []

    def torn(place: Location) -> bytes:
        seen.append(place)
        return read(place)[: -len(seen)] if place.path.endswith(file) else read(place)

    monkeypatch.setattr(Location, "read", torn)
    with pytest.raises(StoreError, match=r"is being written.*it is not damaged.*Run the command again"):
        open_store(tmp_path).evaluations()
    assert sum(slow) > 5


def test_a_file_that_reads_the_same_twice_is_damaged_and_not_waited_for(
    tmp_path: Path, slow: list[float]
) -> None:
    stored(tmp_path)
    file = tmp_path / "trials/00000.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreError, match="is damaged"):
        open_store(tmp_path)
    assert sum(slow) < 0.2
