"""The doctor: what is well, what is not and how to mend it, as a page and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.cli.diagnosis import diagnose

DEAD = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRSTUDY_DATA", str(tmp_path / "data"))


def faults(*arguments: str) -> dict[str, str]:
    result = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    found = json.loads(result.stdout)
    told = {line["name"]: f"{line['seen']} {line['remedy']}" for line in found if line["state"] == "fault"}
    assert result.exit_code == (2 if told else 0), result.output
    return told


@pytest.mark.cluster
def test_a_machine_that_runs_studies_is_well(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in diagnose("runs", None, None)}
    assert {finding.state for finding in found.values()} <= {"ok", "note"}, found
    assert "1 node" in found["Ray"].seen
    assert "digits" in found["data sets"].seen
    assert "lrstudy data fetch" in found["not here"].remedy
    assert list(tmp_path.iterdir()) == []


def test_each_fault_has_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    partly = tmp_path / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    partly.parent.mkdir(parents=True)
    partly.write_bytes(b"")
    told = faults("--address", DEAD, "--out", "file/runs")
    assert set(told) == {"--out", "mnist", "cluster"}
    assert "choose another --out" in told["--out"]
    assert "lrstudy data fetch mnist" in told["mnist"]
    assert "no Ray cluster answers" in told["cluster"]
    assert DEAD in told["cluster"]


def test_the_page_fits_a_terminal() -> None:
    result = CliRunner().invoke(app, ["doctor", "--address", DEAD], env={"COLUMNS": "80"})
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if line.startswith("fault")).split()[1] == "cluster"
