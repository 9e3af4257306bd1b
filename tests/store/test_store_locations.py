"""Places: local paths and URIs, an S3-compatible server, and the names of study folders."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs
from store_samples import study, trial

from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, open_location, open_store, study_folder
from lrstudy.store.location import Location

KILLED_WRITER = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from store_samples import study, trial
from lrstudy.store import StoreWriter, open_location
writer = StoreWriter.create_or_open(open_location(*sys.argv[1:]), study(), chunk_rows=4)
for number in range(3):
    writer.append(*trial(number))
writer.append(trial(3)[0])
os.kill(os.getpid(), signal.SIGKILL)
"""
BUSY_WRITER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from store_samples import study, trial
from lrstudy.store import StoreWriter, open_location
with StoreWriter.create_or_open(open_location(*sys.argv[1:]), study(), chunk_rows=40) as writer:
    for number in range(100_000):
        writer.append(*trial(number))
        print(number, flush=True)
"""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


def everything(place: Location) -> list[str]:
    return [
        info.path
        for info in place.filesystem.get_file_info(fs.FileSelector(place.path, recursive=True))
        if info.is_file
    ]


def test_a_store_on_s3_is_written_killed_resumed_and_read(endpoint: str) -> None:
    place = open_location("s3://bucket/runs/digits", endpoint)
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(place), endpoint], check=False)
    assert killed.returncode == -signal.SIGKILL

    with StoreWriter.create_or_open(place, study(), keep={"fixed-tune-003": 1}, chunk_rows=4) as resumed:
        assert resumed.resumed
        assert resumed.last_evaluations["fixed-tune-003"] == 1
        for number in range(5):
            resumed.append(*trial(number))
    store = open_store("s3://bucket/runs/digits", endpoint)
    assert store.study == study()
    assert [(key.trial_id, record.epoch) for key, record in store.evaluation_records()] == [
        (f"fixed-tune-{number:03d}", epoch) for number in range(5) for epoch in (1, 2, 3)
    ]
    names = sorted(name.removeprefix("bucket/runs/digits/") for name in everything(place))
    assert [name for name in names if "evaluations" in name] == [
        f"evaluations/0000{index}.parquet" for index in range(4)
    ]
    assert [name for name in names if "evaluations" not in name] == [
        "study.json", "trials/00000.parquet", "trials/00001.parquet",
    ]  # fmt: skip


def test_a_store_on_s3_is_sound_at_every_moment_while_it_is_written(endpoint: str) -> None:
    place = open_location("s3://bucket/runs/busy", endpoint)
    command = [sys.executable, "-c", BUSY_WRITER, str(place), endpoint]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "0\n"
        with pytest.raises(StoreError, match=f"another lrstudy is writing here .process {writer.pid} on"):
            StoreWriter.create_or_open(place, study())
        seen = []
        for _ in range(20):
            store = open_store(place)
            names = [record.trial_id for record in store.trial_records()]
            assert names == [f"fixed-tune-{number:03d}" for number in range(len(names))]
            epochs = [(key.trial_id, record.epoch) for key, record in store.evaluation_records()]
            assert epochs == [(name, epoch) for name in names for epoch in (1, 2, 3)]
            seen.append(len(names))
        assert seen[-1] > seen[0]
    finally:
        writer.kill()
        writer.communicate()


def test_errors_on_s3_are_store_errors(endpoint: str) -> None:
    with pytest.raises(StoreError, match=r"s3://bucket/nothing:.* does not exist"):
        open_store("s3://bucket/nothing", endpoint)
    with pytest.raises(StoreError, match="s3://no-such-bucket/x"):
        StoreWriter.create_or_open(open_location("s3://no-such-bucket/x", endpoint), study())
    place = open_location("s3://bucket/locked", endpoint)
    StoreWriter.create_or_open(place, study()).close()
    with pytest.raises(StoreError, match="belongs to the study 'digits'"):
        StoreWriter.create_or_open(place, study(spec_hash="other"))


def test_the_endpoint_may_stand_in_the_uri(endpoint: str) -> None:
    address = endpoint.removeprefix("http://")
    uri = f"s3://testing:hush@bucket/inline?scheme=http&endpoint_override={address}&region=us-east-1"
    with StoreWriter.create_or_open(uri, study()) as writer:
        writer.append(*trial(0))
    assert open_store(uri).evaluations().num_rows == 3


def test_a_password_in_a_uri_is_never_shown() -> None:
    uri = "s3://me:hush-hush@bucket/x?region=eu-west-1&endpoint_override=127.0.0.1:1&scheme=http"
    place = open_location(uri)
    assert str(place / "evaluations") == "s3://bucket/x/evaluations"
    with pytest.raises(StoreError) as refusal:
        open_store(place)
    assert "hush" not in str(refusal.value)
    with pytest.raises(StoreError) as refusal:
        open_location("nosuch://me:hush-hush@bucket/x")
    assert "hush" not in str(refusal.value)
    assert "nosuch://bucket/x" in str(refusal.value)


def test_local_paths_and_file_uris_are_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in ("runs/a", Path("runs/a"), "~/runs/a", f"file://{tmp_path}/runs/a", tmp_path / "runs" / "a"):
        assert open_location(place).local == tmp_path / "runs" / "a"
    monkeypatch.chdir("/")
    assert open_location("runs").local == Path("/runs")


def test_a_relative_path_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = StoreWriter.create_or_open("runs", study())
    monkeypatch.chdir("/")
    writer.append(*trial(0))
    writer.close()
    assert open_store(tmp_path / "runs").evaluations().num_rows == 3


def test_a_file_system_that_can_only_rename(tmp_path: Path) -> None:
    # Stands for HDFS and its like: not local to pyarrow's caller, and not an object store.
    place = Location(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "runs", "hdfs://runs")
    with StoreWriter.create_or_open(place, study()) as writer:
        writer.append(*trial(0))
        writer.append(*trial(1))
    assert open_store(place).evaluations().num_rows == 6
    assert not list(tmp_path.rglob("*.tmp"))


def test_plain_names_are_their_own_folder() -> None:
    out = open_location("runs")
    for name in ("digits", "fashion-mnist_cnn.v2", "études-λ"):
        assert (out / name).path == study_folder(out, name).path


@given(TEXTS, TEXTS)
def test_any_study_name_gives_one_safe_folder_of_its_own(a: str, b: str) -> None:
    out = open_location("/runs")
    folders = [study_folder(out, name).path for name in (a, b)]
    assert (folders[0] == folders[1]) == (a == b)
    for folder in folders:
        parent, _, name = folder.rpartition("/")
        assert parent == "/runs"
        assert name not in ("", ".", "..")
        assert not set(name) & set("/\\<>:\"|?*'`$\n\0 ")
        assert len(name.encode()) <= 100


def test_every_command_that_takes_a_store_takes_an_endpoint(endpoint: str) -> None:
    with StoreWriter.create_or_open(open_location("s3://bucket/runs/asked", endpoint), study()) as writer:
        writer.append(*trial(0))
    sql = "SELECT count(*) AS n FROM epochs"
    command = [sys.executable, "-m", "lrstudy", "query", "s3://bucket/runs/asked", sql, "--format", "csv"]
    told = subprocess.run([*command, "--endpoint", endpoint], capture_output=True, text=True, check=True)
    assert told.stdout == "n\n3\n"
    from typer.main import get_command

    import lrstudy.cli.commands  # noqa: F401 - registers the commands
    from lrstudy.cli import app

    takers = {
        name
        for name, command in get_command(app).commands.items()
        if any("--endpoint" in parameter.opts for parameter in command.params)
    }
    assert {"run", "resume", "retry", "status", "stop", "report", "compare", "export", "submit"} <= takers
    assert "validate" not in takers


def test_the_variable_that_amazon_s_tools_read_names_the_endpoint_too(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with StoreWriter.create_or_open("s3://bucket/runs/variable", study()) as writer:
        writer.append(*trial(0))
    assert open_store("s3://bucket/runs/variable").evaluations().num_rows == 3


@pytest.mark.parametrize("whole", [True, False])
def test_a_kill_between_the_two_steps_of_a_replacement_loses_nothing(tmp_path: Path, whole: bool) -> None:
    # Arrow's HDFS deletes the file that is replaced before it renames the new one.
    place = Location(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "runs", "hdfs://runs")
    with StoreWriter.create_or_open(place, study()) as writer:
        writer.append(*trial(0))
        writer.append(*trial(1))
    file = tmp_path / "runs/evaluations/00000.parquet"
    content = file.read_bytes()
    file.unlink()
    (file.parent / ".00000.parquet.tmp").write_bytes(content if whole else content[:-9])
    if whole:
        StoreWriter.create_or_open(place, study()).close()
        assert open_store(place).evaluations().num_rows == 6
    else:
        with pytest.raises(StoreError, match=r"2 trials have evaluations that are missing.*lrstudy doctor"):
            StoreWriter.create_or_open(place, study())
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("place", ["caf\udce9", "s3://bucket/caf\udce9"])
def test_a_path_that_utf_8_does_not_have_is_refused_in_text_that_can_be_printed(place: str) -> None:
    with pytest.raises(StoreError, match=r"caf\\udce9: is no path in UTF-8") as caught:
        open_location(place)
    str(caught.value).encode("utf-8")
