"""A store copied to where others read it: the same rows, a page, and never two studies in one folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrstudy.analysis import analyse
from lrstudy.cli import app
from lrstudy.errors import StoreError
from lrstudy.report.card import card
from lrstudy.store import ImportOptions, Location, Store, import_histories, open_location, open_store
from lrstudy.store.publication import publish_store

PAGES = {"README.md": b"# what it is\n"}


def store_of(folder: Path, values: tuple[float, ...] = (0.9, 0.95), name: str = "digits") -> Store:
    rows = [
        f"{schedule},{seed},{epoch},{value + seed / 100}"
        for schedule, shift in (("fixed", 0.0), ("step", 0.01))
        for seed in (1, 2)
        for epoch, value in enumerate((base + shift for base in values), start=1)
    ]
    file = folder / f"{name}.csv"
    file.write_text("\n".join(["schedule,seed,epoch,val_accuracy", *rows]) + "\n")
    (made,) = import_histories([file], folder / "runs", ImportOptions(name=name, seed_from="seed"))
    return open_store(made.location)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path)


def test_the_copy_has_the_same_rows_and_the_pages(store: Store, tmp_path: Path):
    written = publish_store(store, open_location(tmp_path / "there"), PAGES)
    copy = open_store(tmp_path / "there")
    assert copy.trials().equals(store.trials())
    assert copy.evaluations().equals(store.evaluations())
    assert (tmp_path / "there/README.md").read_bytes() == PAGES["README.md"]
    assert [file.name for file in written][-1] == "study.json"


def test_a_second_copy_writes_only_what_is_new(store: Store, tmp_path: Path):
    place = open_location(tmp_path / "there")
    publish_store(store, place, PAGES)
    assert publish_store(store, place, PAGES) == []
    (tmp_path / "there/README.md").write_text("old")
    assert [file.name for file in publish_store(store, place, PAGES)] == ["README.md"]


def test_a_copy_that_was_cut_short_is_no_store_and_is_completed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = open_location(tmp_path / "there")
    write = Location.write

    def full_at_the_page(file: Location, content: bytes) -> None:
        if file.name == "README.md":
            raise OSError(28, "No space left on device")
        write(file, content)

    monkeypatch.setattr(Location, "write", full_at_the_page)
    with pytest.raises(OSError, match="No space"):
        publish_store(store, place, PAGES)
    with pytest.raises(StoreError):
        open_store(tmp_path / "there")
    monkeypatch.undo()
    publish_store(store, place, PAGES)
    assert open_store(tmp_path / "there").trials().equals(store.trials())


def test_two_studies_never_share_a_folder(store: Store, tmp_path: Path):
    place = open_location(tmp_path / "there")
    publish_store(store, place, PAGES)
    (tmp_path / "other").mkdir()
    other = store_of(tmp_path / "other", (0.5, 0.6), "other")
    before = {file: file.read_bytes() for file in (tmp_path / "there").rglob("*.*")}
    with pytest.raises(StoreError, match=r"holds another study \(digits\)"):
        publish_store(other, place, PAGES)
    assert before == {file: file.read_bytes() for file in (tmp_path / "there").rglob("*.*")}


def test_rows_of_another_run_are_not_mixed_in(store: Store, tmp_path: Path):
    (tmp_path / "there/trials").mkdir(parents=True)
    (tmp_path / "there/trials/99999.parquet").write_bytes(b"?")
    with pytest.raises(StoreError, match=r"trials/99999.parquet.* not a file of this run"):
        publish_store(store, open_location(tmp_path / "there"), PAGES)
    assert not (tmp_path / "there/study.json").exists()


def test_the_page_says_what_was_found_and_how_to_read_it(store: Store):
    summary = analyse(store, targets=[0.95])
    text = card(summary, "s3://bucket/digits", has_figure=True)
    head, _, rest = text.removeprefix("---\n").partition("---\n")
    assert json.loads(head.splitlines()[0].partition(": ")[2]) == "digits"
    assert "data_files: trials/*.parquet" in head
    assert "](time-to-target.png)" in rest
    assert "lrstudy report s3://bucket/digits --out report" in rest
    assert "](" not in card(summary, "x", has_figure=False)


def test_the_command_copies_to_s3_and_the_copy_is_read_there(
    store: Store, endpoint: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    done = CliRunner().invoke(app, ["publish", str(store.location), "--to", "s3://bucket/digits"])
    assert done.exit_code == 0, done.output
    assert "next: lrstudy report s3://bucket/digits" in done.output
    assert open_store("s3://bucket/digits").trials().equals(store.trials())
    again = CliRunner().invoke(app, ["publish", str(store.location), "--to", "s3://bucket/digits"])
    assert "0 files written" in again.output
