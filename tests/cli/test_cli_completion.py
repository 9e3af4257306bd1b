"""Completion with Tab, through the shell's own protocol: every argument and option that has known values."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.catalog.task_parts import DATASETS
from lrstudy.cli import app
from lrstudy.spec.shipped import shipped_studies

STUDY = """
[task]
dataset = "digits"
model = "softmax-regression"
[schedules.fixed]
[schedules.lipschitz]
[schedules.linear]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "broken.toml").write_text("[schedules")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "h.csv").write_text("schedule,epoch,val_accuracy\nfixed,1,0.9\nstep,1,0.95\n")
    done = CliRunner().invoke(app, ["import", "h.csv", "--name", "one"])
    assert done.exit_code == 0, done.output
    return tmp_path


def offered(line: str) -> list[str]:
    """Return the completions of a command line, whose last word is the one to complete."""
    words = line.split(" ")
    variables = {
        "_LRSTUDY_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    result = CliRunner().invoke(app, [], prog_name="lrstudy", env=variables)
    assert result.exit_code == 0, result.output
    return result.output.split()


FILES = ["broken.toml", "runs/", "study.toml"]
ON_RUNS = (
    "status",
    "watch",
    "show",
    "stop",
    "resume",
    "retry",
    "rerun",
    "report",
    "query",
    "export",
    "doctor",
    "compare",
)
FORMATS = {"query": ["table", "csv", "json"], "export": ["csv", "parquet", "json"]}
CASES = {
    "lrstudy ran": ["range-test"],
    "lrstudy schedules ": list(SCHEDULES),
    "lrstudy schedules li": ["linear", "lipschitz"],
    "lrstudy schedules --json cyc": ["cyclic"],
    "lrstudy data fetch ": list(DATASETS),
    "lrstudy data fetch cifar": ["cifar10", "cifar100"],
    "lrstudy data verify fa": ["fashion-mnist"],
    "lrstudy init --from ": list(shipped_studies()),
    "lrstudy query runs/one sql --format ": FORMATS["query"],
    "lrstudy query --format c": ["csv"],
    "lrstudy export runs/one --format ": FORMATS["export"],
    "lrstudy range-test study.toml --schedule ": ["fixed", "lipschitz", "linear"],
    "lrstudy range-test study.toml --schedule li": ["lipschitz", "linear"],
    "lrstudy range-test broken.toml --schedule ": [],
    "lrstudy range-test nowhere.toml --schedule ": [],
    "lrstudy rerun runs/one fixed-": ["fixed-confirm-000"],
    "lrstudy rerun nowhere fixed-": [],
    "lrstudy show runs/one ste": ["step-confirm-000"],
    "lrstudy stop runs/one --schedule ": ["fixed", "step"],
    "lrstudy stop nowhere --schedule ": [],
    **{f"lrstudy {name} ": FILES for name in ("validate", "plan", "run", "submit", "range-test")},
    "lrstudy validate study.toml bro": ["broken.toml"],
    **{f"lrstudy {name} ": ["runs/one"] for name in ON_RUNS},
    "lrstudy compare runs/one runs/o": ["runs/one"],
}


@pytest.mark.parametrize("line", CASES)
def test_tab_offers_the_values_that_fit(line: str) -> None:
    assert sorted(offered(line)) == sorted(CASES[line])


@pytest.mark.parametrize("command", FORMATS)
def test_every_format_that_is_offered_is_accepted(command: str) -> None:
    arguments = {"query": ["query", "runs/one", "SELECT 1"], "export": ["export", "runs/one"]}[command]
    for file_format in offered(f"lrstudy {command} runs/one --format "):
        done = CliRunner().invoke(app, [*arguments, "--format", file_format])
        assert done.exit_code == 0, done.output


def test_no_argument_with_known_values_is_left_out() -> None:
    known = {"studies", "study", "run", "runs", "trial", "schedule", "file_format"}
    elsewhere = {
        ("schedules",): "name",
        ("data", "fetch"): "name",
        ("data", "verify"): "name",
        ("init",): "source",
    }
    for path, command in leaves(typer.main.get_command(app)):
        for parameter in command.params:
            if parameter.name in known or parameter.name == elsewhere.get(path):
                assert parameter._custom_shell_complete is not None, (path, parameter.name)


def leaves(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


def test_bash_completes_with_the_script_that_it_installs() -> None:
    program = Path(sys.executable).parent / "lrstudy"
    if not program.exists():
        pytest.skip("lrstudy is not installed beside this Python")
    script = subprocess.run(
        [program],
        env={"_LRSTUDY_COMPLETE": "source_bash", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ask = 'COMP_WORDS=(lrstudy schedules cos); COMP_CWORD=2; _lrstudy_completion "$0"; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}", shlex.quote(str(program))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["cosine"]
