"""What the README says is so: its code runs, its study is valid, its commands and columns are real."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tomllib
import unittest.mock
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
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


LINES = [
    shlex.split(line.partition(" > ")[0], comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```|((?:^    lrstudy .*\n)+)", README, re.DOTALL | re.MULTILINE)
    for line in "".join(block).splitlines()
    if line.strip().startswith("lrstudy ")
]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_its_command_lines_are_understood(words: list[str]) -> None:
    """By the command line's own parser, with everything but the work itself."""
    command = typer.main.get_command(app)
    with contextlib.ExitStack() as patches:
        ran: list[str] = []
        for leaf in leaves(command):
            patches.enter_context(
                unittest.mock.patch.object(leaf, "callback", lambda leaf=leaf, **_: ran.append(leaf.name))
            )
        with unittest.mock.patch("sys.stderr", io.StringIO()) as said:
            assert command.main(args=list(words), prog_name="lrstudy", standalone_mode=False) in (None, 0)
    assert len(ran) == 1, said.getvalue()


def leaves(command: Any) -> Iterator[Any]:
    for inner in command.commands.values():
        yield from leaves(inner) if hasattr(inner, "commands") else [inner]


def test_it_has_command_lines() -> None:
    assert len(LINES) >= 14
    assert {words[0] for words in LINES} >= {"run", "data", "import", "query", "export", "compare", "submit"}


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
