"""``lrstudy import`` of trackers' runs: the store has the values of the source, or nothing is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.store import open_store

STEPS = 50


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two schedules with two seeds each: a training loss at each step, a validation loss at every tenth."""
    folder = tmp_path_factory.mktemp("logs")
    for number, name in enumerate(("cosine/0", "cosine/1", "fixed/0", "fixed/1")):
        with SummaryWriter(str(folder / name)) as writer:
            for step in range(1, STEPS + 1):
                writer.add_scalar("train/loss", 1 / step, step)
                if step % 10 == 0:
                    writer.add_scalar("eval/loss", (number + 2) / step, step)
    return folder


def test_event_files_become_a_store_with_their_values(logs: Path, tmp_path: Path) -> None:
    options = [
        "--schedule-from",
        "path:2",
        "--seed-from",
        "path:1",
        "--name",
        "digits",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner(env={"COLUMNS": "1000"}).invoke(app, ["import", str(logs), *options])
    assert done.exit_code == 0, done.output
    store = open_store(tmp_path / "digits")
    rows = store.evaluations(["schedule", "seed", "step", "val_loss"]).to_pylist()
    expected = {
        (name.split("/")[0], int(name[-1]), step): float(np.float32((number + 2) / step))
        for number, name in enumerate(("cosine/0", "cosine/1", "fixed/0", "fixed/1"))
        for step in range(10, STEPS + 1, 10)
    }
    assert {(row["schedule"], row["seed"], row["step"]): row["val_loss"] for row in rows} == expected


def test_a_damaged_file_among_others_is_refused_and_nothing_is_written(logs: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(logs, tmp_path / "logs"))
    (file,) = (copy / "fixed" / "1").iterdir()
    content = bytearray(file.read_bytes())
    content[-6] ^= 1
    file.write_bytes(content)
    out = tmp_path / "runs"
    done = CliRunner(env={"COLUMNS": "1000"}).invoke(
        app, ["import", str(copy), "--schedule-from", "path:2", "--out", str(out)]
    )
    assert done.exit_code == 2
    assert f"{file}: is damaged" in done.output
    assert not out.exists()


def test_a_tag_that_fits_none_is_refused(logs: Path, tmp_path: Path) -> None:
    done = CliRunner(env={"COLUMNS": "1000"}).invoke(
        app, ["import", str(logs), "--tag", "val*", "--out", str(tmp_path / "runs")]
    )
    assert done.exit_code == 2
    assert "It has train/loss, eval/loss" in done.output
    assert not (tmp_path / "runs").exists()
