"""Damage to a store's bytes: refused with the file and the remedy, or without effect on any value."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bit_flips import flipped, outcome, values, write_store
from store_samples import study, trial

from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, examine, export_store, open_location, open_store, query_store

HARMLESS = ("refused", "same values")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_store(tmp_path / "store")
    return tmp_path / "store"


def regions(file: Path) -> list[tuple[int, int]]:
    """The ends of a Parquet file's parts: its mark, pages, checksum, footer, and the footer's length."""
    content = file.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    checksum = content.rindex(b"\xfflrstudy")
    ends = [0, 4, checksum, footer, len(content) - 8, len(content)]
    return list(itertools.pairwise(ends))


def test_a_flipped_bit_in_any_region_of_any_file_changes_no_value(folder: Path) -> None:
    good, places = values(folder), random.Random(20260101)
    found = {}
    for file in (folder / "trials/00000.parquet", folder / "evaluations/00001.parquet"):
        for begin, end in regions(file):
            for _ in range(6):
                bit = places.randrange(8 * begin, 8 * end)
                with flipped(file, bit):
                    found[file.name, bit] = outcome(folder, good)
    for _ in range(6):
        bit = places.randrange(8 * (folder / "study.json").stat().st_size)
        with flipped(folder / "study.json", bit):
            found["study.json", bit] = outcome(folder, good)
    assert set(found.values()) <= set(HARMLESS), found
    assert len(found) > 60
    assert outcome(folder, good) == "same values"


def test_every_reader_refuses_and_names_the_file_and_the_way_on(folder: Path, tmp_path: Path) -> None:
    file = folder / "evaluations/00001.parquet"
    begin, end = regions(file)[1]
    with flipped(file, 4 * (begin + end)):
        store = open_store(folder)
        readers = (
            lambda: store.evaluations(["epoch"]),  # also where the damaged column is not asked for
            lambda: list(store.evaluation_records()),
            lambda: store.pandas(),
            lambda: query_store(store, "SELECT count(*) FROM epochs"),
            lambda: export_store(store, tmp_path / "out", "csv"),
            lambda: StoreWriter.create_or_open(folder, study()),
        )
        for read in readers:
            with pytest.raises(StoreError) as refused:
                read()
            assert f"{file}: is damaged" in str(refused.value)
            assert f"lrstudy doctor {folder} --repair" in str(refused.value)
    assert not (tmp_path / "out" / "epochs.csv").exists()


@pytest.mark.parametrize("length", [16, 512, 4096])
def test_a_block_of_zeros_anywhere_changes_no_value(folder: Path, length: int) -> None:
    good, file = values(folder), folder / "evaluations/00000.parquet"
    whole = file.read_bytes()
    for place in random.Random(length).sample(range(len(whole)), 8):
        file.write_bytes(whole[:place] + bytes(min(length, len(whole) - place)) + whole[place + length :])
        assert outcome(folder, good) in HARMLESS, place


def test_an_older_version_of_a_file_is_noticed(folder: Path) -> None:
    with StoreWriter.create_or_open(folder, study(), chunk_rows=16) as writer:
        writer.append(*trial(8, 4))
        file = max((folder / "evaluations").iterdir())
        older = file.read_bytes()
        writer.append(*trial(9, 4))
    file.write_bytes(older)
    with pytest.raises(
        StoreError, match=r"1 trial has evaluations that are missing \(the first: 'fixed-tune-009'"
    ):
        open_store(folder).evaluations()


def test_a_file_that_is_lost_is_noticed(folder: Path) -> None:
    (folder / "evaluations/00001.parquet").unlink()
    with pytest.raises(StoreError, match="4 trials have evaluations that are missing"):
        open_store(folder).evaluations()


def test_study_json_that_was_changed_on_purpose_can_be_used_again(folder: Path) -> None:
    file = folder / "study.json"
    data = json.loads(file.read_text())
    data["spec"]["target"]["values"] = [0.8]
    file.write_text(json.dumps(data))
    with pytest.raises(StoreError, match='delete its line "sha256"'):
        open_store(folder)
    del data["sha256"]
    file.write_text(json.dumps(data))
    assert open_store(folder).study.targets == [0.8]


def test_a_flipped_bit_of_the_version_does_not_ask_for_a_newer_lrstudy(folder: Path) -> None:
    for name, old, new in (
        ("study.json", b'"schema_version": 2', b'"schema_version": 3'),
        ("evaluations/00000.parquet", b"schema_version\x18\x012", b"schema_version\x18\x019"),
    ):
        file = folder / name
        content = file.read_bytes()
        assert old in content
        file.write_bytes(content.replace(old, new))
        with pytest.raises(StoreError, match="is damaged"):
            open_store(folder).evaluations()
        file.write_bytes(content)


def without_checksums(folder: Path) -> None:
    """Rewrite a store as an older version wrote it."""
    for file in folder.glob("*/*.parquet"):
        pq.write_table(pq.read_table(file), file)
    data = json.loads((folder / "study.json").read_text())
    del data["sha256"]
    (folder / "study.json").write_text(json.dumps(data))


def test_a_store_without_checksums_is_read_and_continued(folder: Path) -> None:
    good = values(folder)
    without_checksums(folder)
    assert values(folder) == good
    assert len(examine(open_location(folder)).unsealed) == 3
    with StoreWriter.create_or_open(folder, study(), chunk_rows=16) as writer:
        writer.append(*trial(8, 4))
    assert open_store(folder).evaluations().num_rows == 36


def test_without_checksums_impossible_values_are_refused(folder: Path) -> None:
    without_checksums(folder)
    file = folder / "trials/00000.parquet"
    for column, bad in (("phase", "tunf"), ("status", "bompleted"), ("params", '{"lr": 0.1')):
        whole = file.read_bytes()
        table = pq.read_table(file)
        values_ = [bad, *table[column].to_pylist()[1:]]
        place = table.column_names.index(column)
        pq.write_table(table.set_column(place, column, pa.array(values_)), file)
        with pytest.raises(StoreError, match=f"{file}: is damaged"):
            open_store(folder)
        file.write_bytes(whole)


def test_other_programs_read_files_with_checksums(folder: Path) -> None:
    query = f"SELECT count(*), sum(val_loss) FROM '{folder}/evaluations/*.parquet'"
    assert duckdb.sql(query).fetchall() == [(32, 16.0)]
    assert pq.read_table(folder / "evaluations", page_checksum_verification=True).num_rows == 32
