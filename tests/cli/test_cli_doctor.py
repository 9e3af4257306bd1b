"""The doctor: what is well, what is not and how to mend it, as a page and as JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.store import StoreWriter
from lrstudy.tuning.cluster.diagnosis import diagnose

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))

from store_samples import study, trial

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


def run_of(folder: Path) -> Path:
    with StoreWriter.create_or_open(folder, study(), chunk_rows=4) as writer:
        for number in range(6):
            writer.append(*trial(number))
    return folder


def test_a_sound_run_is_well(tmp_path: Path) -> None:
    run_of(tmp_path / "run")
    result = CliRunner().invoke(app, ["doctor", "run"])
    assert result.exit_code == 0, result.output
    assert "2 of 2 files sound, 6 rows" in result.stdout
    assert "5 of 5 files sound, 18 rows" in result.stdout
    assert "GPU" not in result.stdout


def test_a_damaged_run_is_told_and_repaired(tmp_path: Path) -> None:
    file = run_of(tmp_path / "run") / "evaluations/00001.parquet"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    shutil.copy(tmp_path / "run/trials/00001.parquet", tmp_path / "run/trials/00007.parquet")
    told = faults("run")
    assert "does not match its checksum" in told["evaluations/00001.parquet"]
    assert "lrstudy doctor run --repair" in told["evaluations/00001.parquet"]
    assert "stored more than once: fixed-tune-004, fixed-tune-005" in told["trials"]
    assert "missing: of fixed-tune-001, fixed-tune-002" in told["evaluations"]
    result = CliRunner().invoke(app, ["doctor", "run", "--repair"])
    assert result.exit_code == 0, result.output
    assert "lrstudy resume run" in " ".join(result.stdout.split())
    assert faults("run") == {}


def test_damage_that_cannot_be_repaired_is_told(tmp_path: Path) -> None:
    file = run_of(tmp_path / "run") / "study.json"
    file.write_text(file.read_text().replace('"seed": 3', '"seed": 2'))
    assert 'delete its line "sha256"' in faults("run")["study.json"]
    assert "study.json" in faults("run", "--repair")["repair"]
    assert "does not exist" in faults("nowhere")["study.json"]


def test_damaged_checkpoints_are_told(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "run") / "checkpoints" / "fixed-tune-007"
    folder.mkdir(parents=True)
    (folder / f"epoch-00003-{hashlib.sha256(b'state').hexdigest()[:16]}.pt").write_bytes(b"state")
    assert "1 sound" in CliRunner().invoke(app, ["doctor", "run"]).stdout
    (folder / f"epoch-00004-{hashlib.sha256(b'state').hexdigest()[:16]}.pt").write_bytes(b"stave")
    result = CliRunner().invoke(app, ["doctor", "run"])
    assert result.exit_code == 0
    assert "a resume ignores them" in " ".join(result.stdout.split())


def test_repair_without_a_run_is_refused() -> None:
    result = CliRunner().invoke(app, ["doctor", "--repair"])
    assert result.exit_code == 2
    assert "--repair: needs a RUN" in result.stderr
