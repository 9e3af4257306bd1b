"""The cost of attempts without a row, and of stores that did not record times."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_samples import study, trial

from lrstudy.errors import StoreError
from lrstudy.records import Phase
from lrstudy.store import StoreWriter, open_location, open_store
from lrstudy.store.open_attempts import FILE, OpenAttempts, read_open_attempts, write_open_attempts
from lrstudy.store.run_status import read_status, spending_so_far
from lrstudy.store.table_schema import LATER_COLUMNS

PRICED = {"cost": {"currency": "EUR", "per_hour": {"cpu": 3600.0}, "limit": 5.0}, "resources": {"cpus": 2}}


def one(name: str, seconds: float, **more: object) -> OpenAttempts:
    return OpenAttempts(trial_id=name, schedule="fixed", phase=Phase.TUNE, seconds=seconds, **more)  # type: ignore[arg-type]


def test_attempts_come_back_and_without_any_there_is_no_file(tmp_path: Path) -> None:
    place = open_location(tmp_path)
    attempts = [one("a", 1.5, device="NVIDIA L4", gpus=0.5, energy_kwh=0.1), one("b", 2.0)]
    write_open_attempts(place, attempts)
    assert read_open_attempts(place) == attempts
    assert read_open_attempts(place, {"a"}) == attempts[1:]
    write_open_attempts(place, [one("c", 0.0)])
    assert not (tmp_path / FILE).exists()
    assert read_open_attempts(place) == []


@pytest.mark.parametrize("text", ["{", "[1]", '[{"trial_id": "a"}]', '[{"phase": "x"}]', "null", "\udcff"])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match="what unfinished attempts have used is not known"):
        read_open_attempts(open_location(tmp_path))


def test_a_retry_forgets_rows_and_not_what_they_have_cost(tmp_path: Path) -> None:
    spec = study().spec | PRICED
    rows, records = trial(0, slot_seconds=2.0, cpus=2)
    more, others = trial(1, slot_seconds=1.0, cpus=2)
    with StoreWriter.create_or_open(tmp_path, study(spec=spec)) as writer:
        writer.append([*rows, *more], [*records, *others])
    before = spending_so_far(open_store(tmp_path))
    assert before is not None
    assert before.spent == pytest.approx(2 * 3.0)
    again = records[0].trial_id
    with StoreWriter.create_or_open(tmp_path, study(spec=spec), forget=[again]):
        pass
    store = open_store(tmp_path)
    assert [record.trial_id for record in store.trial_records()] == [others[0].trial_id]
    assert spending_so_far(store) == before
    status = read_status(store).to_json()["cost"]
    assert (status["currency"], status["spent"], status["limit"]) == ("EUR", pytest.approx(6.0), 5.0)


def test_files_of_an_earlier_version_lack_columns_and_read_as_not_measured(tmp_path: Path) -> None:
    rows, records = trial(0)
    spec = study().spec | PRICED
    with StoreWriter.create_or_open(tmp_path, study(spec=spec)) as writer:
        writer.append(rows, records)
    (file,) = (tmp_path / "trials").glob("*.parquet")
    pq.write_table(pq.read_table(file).drop_columns(sorted(LATER_COLUMNS)), file)
    store = open_store(tmp_path)
    (record,) = store.trial_records()
    assert all(getattr(record, name) is None for name in LATER_COLUMNS)
    spent, held = spending_so_far(store), (record.ended_at - record.started_at).total_seconds()
    assert spent is not None
    assert spent.spent == pytest.approx(2 * held), "from its start to its end, with the study's cores"
    more, others = trial(1, slot_seconds=1.0)
    with StoreWriter.create_or_open(tmp_path, study(spec=spec)) as writer:
        writer.append(more, others)
    assert [one.slot_seconds for one in open_store(tmp_path).trial_records()] == [None, 1.0]
