"""W&B's runs as tables: offline folders that wandb wrote, and projects that its client reads."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wandb_server import LAST_STEP, history_row, wandb_server

from lrstudy.errors import InputError
from lrstudy.store.log_formats import LogTable
from lrstudy.trackers import read_any, wandb_file

SCRIPT = """
import wandb

for seed, schedule in enumerate(("fixed", "cosine")):
    config = {"schedule": schedule, "seed": seed, "optimizer": {"name": "adamw", "betas": [0.9, 0.99]}}
    run = wandb.init(project="digits", name=f"{schedule}-{seed}", id=f"id{seed}", group="g", job_type="train",
                     tags=["a", "b"], config=config)
    for step in range(40):
        row = {"train/loss": 1 / (step + 1), "epoch": step // 10, "inner": {"x": step}}
        if step % 10 == 9:
            row |= {"eval/loss": float("nan") if step == 19 else 2 / (step + 1), "peak": float("inf")}
        if step == 5:
            row |= {"weights": wandb.Histogram([1, 2, 3])}
        run.log(row)
    run.log({"note": "x" * 100_000})
    run.config.update({"late": True})
    run.summary["best"] = 0.25
    run.finish()
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wandb")
    settings = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    quiet = {"WANDB_DISABLE_GIT": "true", "WANDB_X_DISABLE_STATS": "true", "WANDB_CONSOLE": "off"}
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **settings, **quiet},
        cwd=folder,
        check=True,
        timeout=300,
    )
    return folder


def column(table: LogTable, name: str) -> list[Any]:
    values: Any = table.columns[name]
    return list(values if isinstance(values, list) else values.tolist())


@pytest.mark.parametrize("below", [".", "wandb"])
def test_an_offline_folder_gives_its_runs(offline: Path, below: str) -> None:
    tables = read_any(str(offline / below))
    assert [table.constants["run.name"] for table in tables] == ["fixed-0", "cosine-1"]
    for table in tables:
        assert column(table, "_step") == list(range(41))
        assert column(table, "train/loss") == [*(1 / (step + 1) for step in range(40)), None]
        assert column(table, "inner.x")[:40] == list(range(40))
        assert column(table, "eval/loss")[9] == 0.2
        assert column(table, "eval/loss")[8] is None
        assert math.isnan(column(table, "eval/loss")[19])
        assert column(table, "peak")[9] == math.inf
        assert column(table, "note")[40] == "x" * 100_000  # longer than a block of the file
        assert column(table, "_runtime") == sorted(column(table, "_runtime"))
        assert not any(name.startswith("weights") for name in table.names)


def test_config_summary_and_names_are_constants(offline: Path) -> None:
    (table, _) = read_any(str(offline))
    known = {name: value for name, value in table.constants.items() if not name.startswith("summary.")}
    assert known == {
        "run.id": "id0",
        "run.name": "fixed-0",
        "run.group": "g",
        "run.job_type": "train",
        "run.project": "digits",
        "run.tags": "a,b",
        "run.state": "finished",
        "config.schedule": "fixed",
        "config.seed": 0,
        "config.optimizer.name": "adamw",
        "config.late": True,
    }
    assert table.constants["summary.best"] == 0.25
    assert table.constants["summary.train/loss"] == 1 / 40


def test_one_runs_folder_or_file_is_read(offline: Path) -> None:
    (file,) = offline.glob("wandb/*-id1/run-id1.wandb")
    for source in (file, file.parent):
        (table,) = read_any(str(source))
        assert table.constants["run.name"] == "cosine-1"


def test_metrics_are_chosen_by_pattern(offline: Path) -> None:
    (table, _) = read_any(str(offline), ["eval/*"])
    assert set(table.names) == {"_step", "_runtime", "_timestamp", "epoch", "eval/loss"}
    with pytest.raises(InputError, match=r"none of its metrics fits --tag 'val\*'\. It has .*train/loss"):
        read_any(str(offline), ["val*"])


@pytest.fixture
def copy(offline: Path, tmp_path: Path) -> Path:
    """A copy of one run's file, to be damaged."""
    (file,) = offline.glob("wandb/*-id0/run-id0.wandb")
    return Path(shutil.copy(file, tmp_path / file.name))


def refused(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_any(str(file))
    return str(caught.value)


def test_a_file_that_is_cut_is_refused_and_readable_without_its_last_record(copy: Path) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[: len(content) // 2])
    message = refused(copy)
    place = int(message.split("at byte ")[1].split(".")[0])
    assert f"ends inside the record that begins at byte {place}" in message
    assert f"truncate -s {place} FILE" in message
    copy.write_bytes(content[:place])
    (table,) = read_any(str(copy))
    assert table.constants["run.state"] == "crashed"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_flipped_bit_is_refused_with_its_record(copy: Path, share: float) -> None:
    content = bytearray(copy.read_bytes())
    content[int(len(content) * share)] ^= 0x10
    copy.write_bytes(content)
    message = refused(copy)
    assert f"{copy}: is damaged: the record at byte " in message
    assert "Copy the file again" in message


@pytest.mark.parametrize("content", [b"", b":W&B", b"step,loss\n1,2\n", b":W&B\xe1\xbe\x07" + b"\0" * 100])
def test_what_is_no_file_of_a_run_is_refused(copy: Path, content: bytes) -> None:
    copy.write_bytes(content)
    message = refused(copy)
    assert "is not a file of an offline W&B run" in message or "has version 7 of W&B's format" in message


def framed(records: list[bytes]) -> bytes:
    """The records as LevelDB's format has them: in blocks of 32 KiB, whose last bytes may be left empty."""
    content = bytearray(b":W&B\xe1\xbe\0")
    for record in records:
        begun = False
        while True:
            left = 32_768 - len(content) % 32_768
            if left < 7:
                content += bytes(left)
                continue
            part, record = record[: left - 7], record[left - 7 :]
            kind = {(False, True): 1, (False, False): 2, (True, False): 3, (True, True): 4}[begun, not record]
            checksum = zlib.crc32(part, zlib.crc32(bytes((kind,))))
            content += (
                checksum.to_bytes(4, "little") + len(part).to_bytes(2, "little") + bytes((kind,)) + part
            )
            begun = True
            if not record:
                break
    return bytes(content)


@pytest.mark.parametrize("left", range(9))
def test_records_are_found_wherever_a_block_ends(left: int) -> None:
    records = [b"a" * (32_768 - 7 - 7 - left), b"b" * 10, b"c" * 100_000, b"d"]
    assert [data for _, data in wandb_file._pieces("file", framed(records))] == records


def test_two_parts_of_a_resumed_run_are_one(
    copy: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrstudy.trackers import wandb_runs

    first = wandb_runs._Run("a", {"run.id": "x"}, [{"_step": step, "loss": 1.0} for step in range(10)], 1.0)
    second = wandb_runs._Run(
        "b", {"run.id": "x"}, [{"_step": step, "loss": 2.0} for step in range(6, 12)], 2.0
    )
    parts = {"a": second, "b": first}
    monkeypatch.setattr(wandb_runs, "_offline_run", lambda file: parts[file.name])
    monkeypatch.setattr(wandb_runs, "offline_files", lambda folder: [folder / "a", folder / "b"])
    (table,) = wandb_runs.read_offline(copy.parent)
    assert column(table, "_step") == list(range(12))
    assert column(table, "loss") == [1.0] * 6 + [2.0] * 6


READ = """
import json, sys
from lrstudy.errors import InputError
from lrstudy.trackers import read_any

for source in sys.argv[1:]:
    try:
        tables = read_any(source)
    except InputError as error:
        print(json.dumps(str(error)))
        continue
    columns = [{name: list(cells if isinstance(cells, list) else cells.tolist())
                for name, cells in table.columns.items()} for table in tables]
    print(json.dumps([[table.where, table.constants, each] for table, each in zip(tables, columns)]))
"""


def test_wandbs_own_client_gives_the_runs_of_a_project(tmp_path: Path) -> None:
    with wandb_server() as (address, seen):
        settings = {"WANDB_BASE_URL": address, "WANDB_API_KEY": "a" * 40, "WANDB_SILENT": "true"}
        folders = {"WANDB_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                READ,
                "wandb://me/digits?group=a&tag=x",
                "wandb://me/digits/r1",
                "wandb://me/none",
            ],
            env={**os.environ, **settings, **folders},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    project, one, refused = map(json.loads, done.stdout.splitlines())
    filters = [json.loads(asked["filters"]) for asked in seen if "filters" in asked]
    assert filters[:2] == [{"group": "a", "tags": {"$in": ["x"]}}] * 2
    assert [where for where, _, _ in project] == ["wandb://me/digits/r0", "wandb://me/digits/r1"]
    assert [where for where, _, _ in one] == ["wandb://me/digits/r1"]
    rows = [history_row(step) for step in range(LAST_STEP + 1)]
    for where, constants, columns in [*project, *one]:
        assert columns["_step"] == list(range(LAST_STEP + 1))
        assert columns["loss"] == [row["loss"] for row in rows]
        assert math.isnan(columns["eval/loss"][199])
        assert columns["eval/loss"][200:] == [row.get("eval/loss") for row in rows[200:]]
        assert columns.keys() == {"_step", "_runtime", "_timestamp", "loss", "eval/loss"}
        assert constants == {
            "run.id": where[-2:],
            "run.name": f"run {where[-2:]}",
            "run.group": "a",
            "run.project": "digits",
            "run.state": "finished",
            "run.tags": "x",
            "config.seed": 3,
            "config.optimizer.name": "sgd",
            "summary.loss": 0.5,
        }
    assert "wandb://me/none: W&B gave no runs (ValueError: Could not find project none" in refused


class Api:
    """A stand-in for ``wandb.Api`` in questions that are answered before, or without, a server."""

    def runs(self, path: str, filters: dict[str, Any], order: str) -> list[Any]:
        if path == "me/closed":
            raise ValueError("permission denied\nsecond line")
        run = SimpleNamespace(id="r0", name="r0", group=None, job_type=None, entity="me", project="empty")
        run.state, run.tags, run.config, run.summary_metrics = "crashed", [], {}, {}
        run.scan_history = list
        return [run] if path == "me/empty" else []


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=Api))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("wandb://me", "does not name a W&B project"),
        ("wandb://me/digits/r1?group=a", "does not name a W&B project"),
        ("wandb://me/digits?team=a", "has the unknown filter team. Known: tag, group, job_type"),
        ("wandb://me/closed", "W&B gave no runs (ValueError: permission denied). Log in with wandb login"),
        ("wandb://me/digits?group=a", "has no run"),
        ("wandb://me/empty", "has no run with a logged row"),
    ],
)
def test_a_project_that_cannot_be_read_is_refused(api: None, source: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_any(source)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
