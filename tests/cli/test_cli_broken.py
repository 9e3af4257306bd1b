"""A corpus of broken study files and command lines: exit code 2, the key, a remedy, nothing written."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.errors import Problem, StudyFileError
from lrstudy.spec import parse_study

GOOD: dict[str, Any] = {
    "name": "small",
    "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 1},
    "budget": {"trials": 2, "confirm_seeds": 2},
    "target": {"reference": "fixed"},
    "schedules": {"lipschitz": {}, "fixed": {"lr": {"low": 0.01, "high": 1.0, "log": True}}},
}
VALUES = [
    line
    for line in (Path(__file__).parent / "broken" / "values.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def changed(line: str) -> dict[str, Any]:
    """The good study with one line of the corpus put in place."""
    key, _, value = line.partition(" =")
    study = copy.deepcopy(GOOD)
    *sections, last = key.split(".")
    place = study
    for section in sections:
        place = place.setdefault(section, {})
    if value.strip():
        place[last] = tomllib.loads(f"value ={value}")["value"]
    else:
        del place[last]
    return study


def problems_of(study: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(StudyFileError) as refused:
        parse_study(study, "study.toml")
    return refused.value.problems


def test_the_unbroken_study_is_good() -> None:
    assert parse_study(copy.deepcopy(GOOD), "study.toml").schedules


@pytest.mark.parametrize("line", VALUES)
def test_a_broken_value_is_refused_with_its_key_and_a_remedy(line: str) -> None:
    problems = problems_of(changed(line))
    key = line.partition(" =")[0]
    assert any(found.key.startswith(key) or key.startswith(found.key) for found in problems), problems
    for found in problems:
        assert found.key
        assert_told(found)


def assert_told(found: Problem) -> None:
    """What is wrong as a phrase, what to do as a sentence."""
    assert found.message
    assert not found.message.endswith("."), found
    assert re.match(r"[A-Z\[`'\"].*[.?`)]$", found.remedy, re.DOTALL), found.remedy
    assert "pydantic" not in str(found)
    assert "Traceback" not in str(found)


TEXT = """name = "small"
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 1
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
"""
# What is put in place of what, and what the message must say.
FILES: dict[str, tuple[str, str, str]] = {
    "two equal signs": ("epochs = 1", "epochs = = 1", "study.toml:6"),
    "no value": ("epochs = 1", "epochs =", "study.toml:6"),
    "open text": ('"digits"', '"digits', "study.toml:3"),
    "open list": ("batch_size = 64", "batch_size = [64", "study.toml"),
    "open table": ("[task]", "[task", "study.toml:2"),
    "open inline table": ("log = true }", "log = true", "study.toml"),
    "a key twice": ("epochs = 1", "epochs = 1\nepochs = 2", "study.toml:7"),
    "a table twice": ("[schedules.fixed]", "[task]", "study.toml:7"),
    "a colon for an equal sign": ("epochs = 1", "epochs: 1", "study.toml:6"),
    "a leading zero": ("epochs = 1", "epochs = 01", "study.toml:6"),
    "true as elsewhere": ("log = true", "log = True", "study.toml:8"),
    "none": ("epochs = 1", "epochs = None", "study.toml:6"),
    "a bare word": ('"digits"', "digits", "study.toml:3"),
    "single curly quotes": ('"digits"', "‘digits’", "study.toml:3"),
    "YAML": (TEXT, "task:\n  dataset: digits\n", "study.toml:1"),
    "JSON": (TEXT, '{"task": {}}', "study.toml:1"),
    "nothing": (TEXT, "", "task"),
    "a comment": (TEXT, "# nothing here", "task"),
    "no task": (TEXT.partition("[schedules")[0], "", "task"),
    "no schedules": (TEXT[TEXT.index("[schedules") :], "", "schedules"),
    "a list of tables": ("[task]", "[[task]]", "task"),
    "a table for a text": ('name = "small"', "[name]\nis = 1", "name"),
    "a control character": ("small", "sm\x00all", "study.toml:1"),
    "an odd escape": ("small", "sm\\qall", "study.toml:1"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRSTUDY_DATA", str(tmp_path / "no-data"))
    (tmp_path / "study.toml").write_text(TEXT)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("not a store\n")
    (tmp_path / "bad.csv").write_text("epoch,val_accuracy\n2,0.5\n1,high\n")
    (tmp_path / "short.csv").write_text("seed,val_accuracy\n1,0.5\n")
    return tmp_path


def refused(folder: Path, *arguments: str) -> str:
    """What a command says that is refused: exit code 2, no traceback, every file as before."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    return result.output


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("command", ["run", "plan", "validate"])
def test_a_broken_file_is_refused_with_its_line(here: Path, case: str, command: str) -> None:
    old, new, said = FILES[case]
    assert old in TEXT
    (here / "study.toml").write_text(TEXT.replace(old, new, 1))
    assert said in refused(here, command, "study.toml")


@pytest.mark.parametrize("command", ["run", "plan", "validate", "range-test"])
def test_a_broken_part_is_refused_with_the_line_that_names_it(here: Path, command: str) -> None:
    (here / "parts_broken_here.py").write_text("def make():\n    raise KeyError('widths')\n")
    (here / "study.toml").write_text(TEXT.replace('"digits"', '"parts_broken_here:make"', 1))
    message = refused(here, command, "study.toml")
    assert "study.toml:3: task.dataset" in message
    assert "widths" in message


@pytest.mark.parametrize("command", ["run", "plan", "validate", "range-test"])
def test_a_module_that_ends_the_process_is_refused(here: Path, command: str) -> None:
    (here / "ends_at_import.py").write_text("import os\nos._exit(0)\n")
    (here / "study.toml").write_text(TEXT.replace('"digits"', '"ends_at_import:make"', 1))
    message = refused(here, command, "study.toml")
    assert "importing ends_at_import ended the process with exit code 0" in message


def test_a_file_that_is_not_text_is_refused(here: Path) -> None:
    (here / "study.toml").write_bytes(b'name = "\xff\xfe"')
    assert "UTF-8" in refused(here, "run", "study.toml")


# A command line, and what the message must name.
LINES: dict[str, str] = {
    "run": "STUDY",
    "run nowhere.toml": "nowhere.toml",
    "run empty": "empty",
    "run study.toml extra": "extra",
    "run study.toml --ot runs": "--ot",
    "run study.toml --set": "--set",
    "run study.toml --set task.epochs": "task.epochs",
    "run study.toml --set =3": "=3",
    "run study.toml --set task.epochs=": "task.epochs",
    "run study.toml --set task.epochs=ten": "task.epochs",
    "run study.toml --set task..epochs=3": "task..epochs",
    "run study.toml --set task=3": "task",
    "run study.toml --set task.epochs.more=3": "task.epochs",
    "run study.toml --set schedules.nowhere.lr=3": "schedules.nowhere",
    "run study.toml --set schedules.fixed.lr.low=5": "schedules.fixed.lr",
    "run study.toml --out file.txt": "file.txt",
    "run study.toml --out nonsense://bucket": "nonsense",
    "run study.toml --reports file.txt": "file.txt",
    "run study.toml --address 127.0.0.1:1": "--address",
    "run study.toml --address nonsense": "--address",
    "run study.toml --set resources.gpus=99": "resources.gpus",
    "run study.toml --set task.dataset=mnist": "lrstudy data fetch mnist",
    "run study.toml --set task.dataset=nowhere:make": "nowhere",
    "run study.toml --set task.model=json:nothing": "json",
    "plan": "STUDY",
    "plan nowhere.toml": "nowhere.toml",
    "validate": "STUDY",
    "validate study.toml nowhere.toml": "nowhere.toml",
    "range-test nowhere.toml": "nowhere.toml",
    "range-test study.toml --epochs 0": "--epochs",
    "range-test study.toml --low 1 --high 0.1": "0.1",
    "range-test study.toml --plot curve.jpg": "curve.jpg",
    "range-test study.toml --schedule nowhere": "nowhere",
    "status": "RUN",
    "status nowhere": "nowhere",
    "status empty": "empty",
    "status file.txt": "file.txt",
    "status nowhere --watch": "nowhere",
    "stop nowhere": "nowhere",
    "resume nowhere": "nowhere",
    "resume empty": "empty",
    "retry nowhere": "nowhere",
    "rerun nowhere fixed-tune-000": "nowhere",
    "rerun empty": "TRIAL",
    "report nowhere": "nowhere",
    "report empty": "empty",
    "report empty --target high": "--target",
    "compare": "RUN",
    "compare nowhere empty": "nowhere",
    "import": "SOURCE",
    "import nowhere.csv": "nowhere.csv",
    "import bad.csv": "bad.csv",
    "import short.csv": "epoch",
    "import file.txt": "file.txt",
    "import bad.csv --reference": "--reference",
    "query nowhere SELECT": "nowhere",
    "query empty": "SQL",
    "export nowhere --format csv": "nowhere",
    "export nowhere --format xls": "nowhere",
    "export nowhere": "--format",
    "data": "",
    "data fetch": "NAME",
    "data fetch nothing": "nothing",
    "data fetch mnist --from nowhere": "nowhere",
    "data verify mnist": "mnist",
    "data verify": "NAME",
    "schedules nothing": "nothing",
    "schedules nowhere:attribute": "nowhere",
    "schedules step --set gamma": "gamma",
    "schedules step --set gama=0.1": "gama",
    "schedules step --set gamma=2.0": "gamma",
    "schedules step --plot curve.jpg": "curve.jpg",
    "schedules step --epochs 0": "--epochs",
    "schedules --set lr=1": "--set",
    "init study.toml": "study.toml",
    "init --from nothing": "nothing",
    "init nowhere/study.toml": "nowhere",
    "nothing": "nothing",
    "--nothing": "--nothing",
}


@pytest.mark.parametrize("line", LINES)
def test_a_broken_command_line_is_refused(here: Path, line: str) -> None:
    output = refused(here, *line.split())
    assert LINES[line] in "".join(re.sub("[│╭╮╰╯─]", "", output).split("\n")) or LINES[line] in output


def test_the_corpus_is_large() -> None:
    assert len(VALUES) + len(FILES) + len(LINES) >= 150
    assert len(VALUES) == len(set(VALUES))


_KEYS = st.sampled_from(["name", "seed", "task", "budget", "target", "schedules", "resources", "x", "lr"])
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
)
_TREES = st.recursive(_LEAVES, lambda inner: st.dictionaries(_KEYS, inner, max_size=3), max_leaves=12)


@given(st.dictionaries(_KEYS | st.text(max_size=5), _TREES, max_size=4))
def test_whatever_a_file_holds_the_answer_is_a_list_of_problems(raw: dict[str, Any]) -> None:
    for found in problems_of(raw):
        assert_told(found)


@given(st.sampled_from(sorted(GOOD["task"])), _TREES)
def test_whatever_stands_at_a_key_of_the_task_is_told_or_taken(key: str, value: Any) -> None:
    study = copy.deepcopy(GOOD)
    study["task"][key] = value
    try:
        parse_study(study, "study.toml")
    except StudyFileError as error:
        for found in error.problems:
            assert_told(found)


@given(st.text(alphabet="[]{}=.#\"'\n \\abc123", max_size=60))
def test_whatever_text_a_file_is_it_is_told_or_taken(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.toml"
    path.write_text(text)
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "random.toml" in result.output.replace("\n", "")
