"""Opening what is not a sound store: one clear error that names the file and the remedy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_samples import study, trial

from lrstudy.errors import InputError, StoreError
from lrstudy.store import StoreWriter, open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "digits"
    with StoreWriter.create_or_open(place, study(), chunk_rows=4) as writer:
        for number in range(6):
            writer.append(*trial(number))
    return place


def refusal(folder: Path) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(folder)
    assert caught.value.exit_code == 2
    return str(caught.value)


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    pq.write_table(change(pq.read_table(file)), file)


def edit_study(folder: Path, **changes: Any) -> None:
    file = folder / "study.json"
    data = json.loads(file.read_text()) | {"sha256": "DELETE"} | changes
    file.write_text(json.dumps({key: value for key, value in data.items() if value != "DELETE"}))


def test_no_such_folder(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere")


def test_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "has no study.json" in refusal(tmp_path)


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert str(tmp_path / "notes.txt") in refusal(tmp_path / "notes.txt")


def test_the_folder_above_names_the_studies_in_it(folder: Path) -> None:
    assert str(folder) in refusal(folder.parent)


def test_study_json_is_not_json(folder: Path) -> None:
    (folder / "study.json").write_text('{"name": "dig')
    assert "not valid JSON" in refusal(folder)


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema_version": true}', '{"schema_version": 1}'])
def test_study_json_is_something_else(folder: Path, text: str) -> None:
    (folder / "study.json").write_text(text)
    assert "study.json" in refusal(folder)


def test_every_fault_of_study_json_is_listed(folder: Path) -> None:
    edit_study(folder, name=7, spec_hash="DELETE", created_at="DELETE")
    text = refusal(folder)
    assert "name: has the wrong type" in text
    assert "spec_hash: is missing" in text
    assert "created_at: is missing" in text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("target", "metric"), "speed", "not a known metric"),
        (("target", "reference"), "nobody", "not one of the schedules"),
        (("schedules", "fixed"), {}, "has no kind"),
    ],
)
def test_a_study_that_contradicts_itself(
    folder: Path, path: tuple[str, str], value: Any, message: str
) -> None:
    spec = json.loads((folder / "study.json").read_text())["spec"]
    spec[path[0]][path[1]] = value
    edit_study(folder, spec=spec)
    assert message in refusal(folder)


def test_newer_schema_version(folder: Path) -> None:
    edit_study(folder, schema_version=99)
    text = refusal(folder)
    assert "newer lrstudy (schema version 99" in text
    assert "Upgrade" in text


def test_newer_schema_version_of_one_file(folder: Path) -> None:
    metadata = {b"lrstudy.schema_version": b"3"}
    edit(folder / "evaluations/00001.parquet", lambda table: table.replace_schema_metadata(metadata))
    assert "newer lrstudy" in refusal(folder)


def test_missing_columns_are_all_named_with_their_files(folder: Path) -> None:
    edit(folder / "evaluations/00001.parquet", lambda table: table.drop_columns(["val_loss", "lr"]))
    edit(folder / "trials/00000.parquet", lambda table: table.drop_columns(["status"]))
    text = refusal(folder)
    assert "evaluations/00001.parquet: val_loss: this column is missing" in text.replace(
        "parquet: val", "parquet: val"
    )
    assert "lr: this column is missing" in text
    assert "status: this column is missing" in text


def test_a_column_of_another_type(folder: Path) -> None:
    words = pa.array(["x"] * 4)
    edit(
        folder / "evaluations/00001.parquet",
        lambda t: t.set_column(t.column_names.index("epoch"), "epoch", words),
    )
    assert "holds string, not double" in refusal(folder)


def test_other_tools_widths_of_the_same_types_are_read(folder: Path) -> None:
    narrow = {
        "epoch": pa.int64(),
        "step": pa.int32(),
        "val_loss": pa.float32(),
        "schedule": pa.large_string(),
    }

    def change(table: Any) -> Any:
        for name, kind in narrow.items():
            place = table.column_names.index(name)
            table = table.set_column(place, name, table[name].cast(kind))
        return table.append_column("note", pa.array(["more"] * table.num_rows))

    before = open_store(folder).evaluations()
    edit(folder / "evaluations/00001.parquet", change)
    assert open_store(folder).evaluations() == before


@pytest.mark.parametrize("keep", [0, 3, 200, -9])
def test_truncated_and_empty_files(folder: Path, keep: int) -> None:
    file = folder / "evaluations/00002.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    text = refusal(folder)
    assert f"{file}" in text
    assert "is damaged" in text
    assert "Restore" in text


def test_damage_inside_a_file_is_found_when_it_is_read(folder: Path) -> None:
    file = folder / "evaluations/00002.parquet"
    content = bytearray(file.read_bytes())
    content[4:400] = b"\xff" * 396
    file.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        open_store(folder).evaluations()


@pytest.mark.parametrize("other", [study(name="iris"), study(spec_hash="999")])
def test_two_studies_in_one_folder(folder: Path, tmp_path: Path, other: Any) -> None:
    with StoreWriter.create_or_open(tmp_path / "other", other) as writer:
        writer.append(*trial(0))
    for table in ("trials", "evaluations"):
        shutil.copy(tmp_path / "other" / table / "00000.parquet", folder / table / "00077.parquet")
    text = refusal(folder)
    assert text.count("two studies are mixed") == 2
    assert repr(other.name) in text
    assert other.spec_hash in text


def test_a_file_copied_twice(folder: Path) -> None:
    shutil.copy(folder / "trials/00000.parquet", folder / "trials/copy.parquet")
    assert "'fixed-tune-000'" in refusal(folder)


def test_an_unknown_column_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(StoreError, match="Did you mean 'val_loss'"):
        open_store(folder).evaluations(["val_los"])


def test_pandas_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(InputError, match=r"lrstudy\[query\]"):
        open_store(folder).pandas()
