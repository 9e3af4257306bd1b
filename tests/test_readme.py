"""What the README says is so: its code runs, its study is valid, its commands and columns are real."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.cli.reference import command_reference
from lrstudy.spec import load_study, parse_study
from lrstudy.store import EPOCHS_SCHEMA, TRIALS_SCHEMA, ImportOptions, import_histories

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h.csv").write_text("schedule,epoch,val_accuracy\nfixed,1,0.9\nstep,1,0.95\n")
    import_histories(["h.csv"], "runs", ImportOptions(name="digits"))  # the study that the blocks open
    codes = blocks("python")
    assert len(codes) > 2
    for code in codes:
        exec(compile(code, "README.md", "exec"), {})


def test_its_study_is_valid() -> None:
    study = next(text for text in blocks("toml") if "[budget]" in text)
    assert parse_study(tomllib.loads(study), "README.md").schedules


def test_the_studies_it_names_exist_and_load() -> None:
    named = set(re.findall(r"studies/[\w/-]+\.toml", README))
    assert "studies/digits.toml" in named
    for path in named:
        assert load_study(ROOT / path)


def test_its_command_table_is_the_command_line_s() -> None:
    root = typer.main.get_command(app)
    table = set(re.findall(r"^\| `lrstudy ([\w-]+)", README, re.MULTILINE))
    assert table == set(root.commands)  # type: ignore[attr-defined]


def test_its_table_of_options_is_the_command_line_s() -> None:
    """Write it anew with ``python -m lrstudy.cli.reference``."""
    assert f"\n\n{command_reference()}\n" in README


def test_its_columns_are_the_store_s() -> None:
    for table, schema in (("trials", TRIALS_SCHEMA), ("epochs", EPOCHS_SCHEMA)):
        text = README.partition(f"**`{table}`**")[2].split("\n\n")[1]
        rows = [line.split("|")[1:3] for line in text.splitlines()[2:]]
        found = [(name, kind.strip()) for names, kind in rows for name in re.findall(r"`(\w+)`", names)]
        types = [str(field.type).replace("double", "float64").replace("tz=", "") for field in schema]
        assert found == list(zip(schema.names, types, strict=True))


def test_its_two_commands_stand_on_lines_of_their_own() -> None:
    lines = README.splitlines()
    first = "python -m venv .venv && .venv/bin/pip install -e . && .venv/bin/lrstudy run studies/digits.toml"
    second = "python -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
    assert first in lines
    assert second in lines
