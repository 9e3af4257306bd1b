"""Every command that takes a run takes one of schema version 1, and shows the same."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))

from version_1 import as_version_1


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One imported study, as the current version and as version 1 in ``new`` and ``old``."""
    folder = tmp_path_factory.mktemp("runs")
    rows = ["schedule,run,epoch,step,lr,train_loss,val_accuracy"]
    for place, schedule in enumerate(["fixed", "step"]):
        for seed in range(3):
            for epoch in range(1, 9):
                level = 1 - 0.9 / (1 + epoch * (1 + place) + seed / 10)
                rows.append(f"{schedule},{seed},{epoch},{epoch * 20},0.1,{1 / epoch:.3f},{level:.4f}")
    (folder / "h.csv").write_text("\n".join(rows) + "\n")
    told = CliRunner().invoke(
        app, ["import", str(folder / "h.csv"), "--seed-column", "run", "--out", str(folder / "new")]
    )
    assert told.exit_code == 0, told.output
    shutil.copytree(folder / "new", folder / "old")
    as_version_1(folder / "old/h")
    return folder


def done(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    "command",
    [
        ["status", "{}/h"],
        ["status", "{}/h", "--json"],
        ["query", "{}/h", "SELECT epoch, count(*), avg(val_accuracy) FROM epochs GROUP BY 1 ORDER BY 1"],
        ["query", "{}/h", "SELECT status, best_evaluation, best_epoch, epochs_run FROM trials"],
    ],
    ids=lambda command: " ".join(command[::2])[:20],
)
def test_a_command_prints_the_same(runs: Path, command: list[str]) -> None:
    old, new = (
        done(*(part.format(runs / version) for part in command)).replace(str(runs / version), "")
        for version in ("old", "new")
    )
    assert old == new


def test_the_report_has_the_same_numbers(runs: Path, tmp_path: Path) -> None:
    for version in ("old", "new"):
        done("report", str(runs / version / "h"), "--out", str(tmp_path / version))
    old, new = ((tmp_path / version / "summary.json").read_bytes() for version in ("old", "new"))
    assert old == new


def test_runs_of_both_versions_are_compared(runs: Path) -> None:
    assert "step" in done("compare", str(runs / "old/h"), str(runs / "new/h"))


def test_the_doctor_finds_it_sound_and_has_nothing_to_repair(runs: Path) -> None:
    place = str(runs / "old/h")
    before = {file: file.read_bytes() for file in Path(place).rglob("*.parquet")}
    states = {line["name"]: line["state"] for line in json.loads(done("doctor", place, "--json"))}
    assert states == {"study.json": "ok", "trials": "ok", "evaluations": "ok"}
    assert "nothing to repair" in done("doctor", place, "--repair")
    assert {file: file.read_bytes() for file in Path(place).rglob("*.parquet")} == before


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_an_export_has_the_current_columns(runs: Path, tmp_path: Path, file_format: str) -> None:
    for version in ("old", "new"):
        done("export", str(runs / version / "h"), "--format", file_format, "--out", str(tmp_path / version))
    old, new = (tmp_path / version / f"evaluations.{file_format}" for version in ("old", "new"))
    assert old.read_bytes() == new.read_bytes()
