"""``lrstudy extend``: refused extensions change nothing, and ``run`` names the one that a change needs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands
from lrstudy.cli import app
from lrstudy.cli.completion import schedules_of_files
from lrstudy.spec import load_study
from lrstudy.store import StoreWriter, StudyInfo

STUDY = """
name = "tiny"
[task]
dataset = "iris"
model = "softmax-regression"
batch_size = 16
epochs = 2
[budget]
trials = 3
confirm_seeds = 2
[resources]
lanes = 0
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study file and a run that has no trial yet, begun on other data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(STUDY)
    study = load_study(tmp_path / "tiny.toml")
    info = StudyInfo(
        "tiny", study.to_json(), study.spec_hash, study.seed, fingerprints={"data": "0123456789abcdef"}
    )
    StoreWriter.create_or_open(tmp_path / "runs" / "tiny", info).close()
    (tmp_path / "runs" / "tiny" / "checkpoints" / "fixed-tune-000").mkdir(parents=True)
    return tmp_path


def lrstudy(*words: str) -> Result:
    return CliRunner().invoke(app, [*words], env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "says nothing to extend the run by"),
        ("--confirm-seeds 1", "--confirm-seeds = 1: is below budget.confirm_seeds = 2"),
        ("--confirm-seeds 4 --trials 3", "is budget.trials of runs/tiny already"),
        ("--epochs 4", "Start a second run"),
        ("--schedule none=tiny.toml", "has no schedule 'none'"),
        ("--most 8", "leaves nothing to decide by"),
        ("--metric val_loss", "is not recorded by every evaluation"),
        ("--confirm-seeds 4", "gives other rows now"),
    ],
)
def test_a_refused_extension_changes_nothing(here: Path, options: str, words: str) -> None:
    before = (here / "runs" / "tiny" / "study.json").read_bytes()
    result = lrstudy("extend", "runs/tiny", *shlex.split(options))
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert (here / "runs" / "tiny" / "study.json").read_bytes() == before


def test_a_changed_study_file_is_answered_with_the_extension(here: Path) -> None:
    more = here / "more seeds.toml"
    more.write_text(
        STUDY.replace("confirm_seeds = 2", "confirm_seeds = 4") + '[schedules.later]\nkind = "fixed"\n'
    )
    result = lrstudy("run", more.name)
    assert result.exit_code == 2, result.output
    command = "lrstudy extend runs/tiny --confirm-seeds 4 --schedule 'later=more seeds.toml'"
    assert command in result.output
    assert "budget.confirm_seeds: 2 → 4; schedules.later: added" in result.output
    # The command is understood: it is refused for the data only.
    assert "gives other rows now" in lrstudy(*shlex.split(command)[1:]).output
    other = lrstudy("run", more.name, "--set", "seed=3")
    assert "lrstudy extend" not in other.output
    assert "lrstudy resume" in other.output


def test_the_shell_offers_the_schedules_of_study_files(here: Path) -> None:
    assert schedules_of_files("") == ["lipschitz=tiny.toml", "fixed=tiny.toml"]
    assert schedules_of_files("fix") == ["fixed=tiny.toml"]
    assert schedules_of_files("fixed=tiny.toml") == ["fixed=tiny.toml"]
    assert schedules_of_files("fixed=nothing.toml") == []
