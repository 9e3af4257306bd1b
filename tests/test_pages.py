"""The documents are true: code runs, studies are valid, commands, links and tables are real."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import shlex
import subprocess
import tomllib
import unittest.mock
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml
from rich.console import Console

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.analysis.summary import NextStep
from lrstudy.cli import app
from lrstudy.cli.views.report import show_verdict
from lrstudy.rules.metrics import METRICS
from lrstudy.spec import load_study, parse_study
from lrstudy.spec.key_table import key_tables
from lrstudy.store import EVALUATIONS_SCHEMA, TRIALS_SCHEMA, ImportOptions, import_histories

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        ".github/*.md",
        "lrstudy/**/*.md",
        "studies/**/*.md",
        "reports/**/README.md",
        "tests/**/*.md",
    )
    for path in ROOT.glob(pattern)
    if not path.name.startswith("CHANGELOG")
)
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]
# Where these are left out of a snippet, they are the ones of the README's study file.
SECTIONS = ("name", "task", "budget", "target", "schedules")


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", TEXTS[page], re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def each(language: str) -> list[Any]:
    found = [(page, number, text) for page in PAGES for number, text in enumerate(blocks(page, language))]
    return [pytest.param(page, text, id=f"{page}-{number}") for page, number, text in found]


def test_the_readme_is_short_and_every_page_is_reached_from_it() -> None:
    assert len(README.encode()) <= 12 * 1024
    seen, ahead = set(), ["README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        ahead += [other for other, _ in links(page) if other in TEXTS and other not in seen]
    assert seen == set(PAGES)


def links(page: str) -> Iterator[tuple[str, str]]:
    """The files (from the root) and headings that a page links to."""
    text = re.sub(r"^```.*?^```", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, heading = target.partition("#")
            file = (ROOT / page).parent / path if path else ROOT / page
            yield file.resolve().relative_to(ROOT.resolve()).as_posix(), heading


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for file, heading in links(page):
        assert (ROOT / file).exists(), file
        if heading:
            titles = re.findall(r"^#+ (.*)$", TEXTS[file], re.MULTILINE)
            assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_files_it_names_exist(page: str) -> None:
    for name in re.findall(
        r"`((?:(?:lrstudy|tests|studies)/[\w./-]*\w|\.ci/(?:run|check|test)))`", TEXTS[page]
    ):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`python -m (lrstudy[\w.]*)`", TEXTS[page]):
        assert importlib.util.find_spec(name), name


def test_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that begins with the name of a module runs as if it were written there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h.csv").write_text("schedule,epoch,val_accuracy\nfixed,1,0.9\nstep,1,0.95\n")
    import_histories(["h.csv"], "runs", ImportOptions(name="digits"))  # the study that the blocks open
    ran = 0
    for page in PAGES:
        for code in blocks(page, "python"):
            place = re.match(r"# (lrstudy/[\w/]+)\.py", code)
            known = place is not None and (ROOT / f"{place[1]}.py").exists()
            name = place[1].replace("/", ".") if place is not None and known else "page"
            scope = dict(vars(importlib.import_module(name))) if known else {"__name__": name}
            exec(compile(code, page, "exec"), scope)
            ran += 1
    assert ran > 3


@pytest.mark.parametrize(("page", "text"), each("toml"))
def test_studies_are_valid(page: str, text: str) -> None:
    study = tomllib.loads(text)
    whole = tomllib.loads(next(block for block in blocks("README.md", "toml") if "[budget]" in block))
    for section in SECTIONS:
        study.setdefault(section, whole[section])
    if "train" not in study["task"]:  # else a user's own training, which has none of the built-in parts
        study["task"] = whole["task"] | study["task"]
    study["schedules"].setdefault(whole["target"]["reference"], {})
    assert parse_study(study, page).schedules


def test_studies_that_pages_name_exist_and_load() -> None:
    named = {path for text in TEXTS.values() for path in re.findall(r"\bstudies/[\w/-]+\.toml", text)}
    assert {"studies/digits.toml", "studies/examples/own-task.toml"} <= named
    for path in named:
        assert load_study(ROOT / path)


def command_lines(page: str) -> list[list[str]]:
    found = re.findall(
        r"^```sh\n(.*?)^```|((?:^    lrstudy .*\n(?:^        .*\n)*)+)", TEXTS[page], re.DOTALL | re.MULTILINE
    )
    text = "".join("".join(block) for block in found).replace("\\\n", " ")
    return [
        shlex.split(line.partition(" > ")[0], comments=True)[1:]
        for line in text.splitlines()
        if line.strip().startswith("lrstudy ")
    ]


LINES = [
    pytest.param(words, id=f"{page}: {' '.join(words)}") for page in PAGES for words in command_lines(page)
]


@pytest.mark.parametrize("words", LINES)
def test_command_lines_are_understood(words: list[str]) -> None:
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


def test_there_are_command_lines() -> None:
    assert len(LINES) >= 16
    names = {words[0] for page in PAGES for words in command_lines(page)}
    assert names >= {"run", "data", "import", "query", "export", "compare", "submit", "jobs"}


def test_commands_in_sentences_and_tables_exist_with_their_options() -> None:
    root, said = typer.main.get_command(app), set()
    for page in PAGES:
        for line in re.findall(r"`lrstudy (\w[^`]*)`", TEXTS[page]):
            name, *words = shlex.split(line.partition(" > ")[0])
            if name.isupper():  # COMMAND: any of them
                continue
            command = root.commands[name]  # type: ignore[attr-defined]
            if hasattr(command, "commands") and words:
                command = command.commands[words[0]]
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert {word for word in words if word.startswith("-")} <= known, (page, line)
            said.add(name)
    named = {words[0] for page in PAGES for words in command_lines(page)}
    assert said | named == set(root.commands)  # type: ignore[attr-defined]


def test_the_readme_s_ten_commands() -> None:
    assert len(set(re.findall(r"^\| `lrstudy ([\w-]+)", README, re.MULTILINE))) == 10
    commands = sum(1 for _ in typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert f"[All {commands} commands" in README


def test_the_columns_of_the_store_s_page_are_the_store_s() -> None:
    page = TEXTS["lrstudy/store/README.md"]
    for table, schema in (("trials", TRIALS_SCHEMA), ("evaluations", EVALUATIONS_SCHEMA)):
        text = page.partition(f"**`{table}`**")[2].split("\n\n")[1]
        rows = [line.split("|")[1:3] for line in text.splitlines()[2:]]
        found = [(name, kind.strip()) for names, kind in rows for name in re.findall(r"`(\w+)`", names)]
        types = [str(field.type).replace("double", "float64").replace("tz=", "") for field in schema]
        assert found == list(zip(schema.names, types, strict=True))


def test_the_keys_of_the_studies_page_are_the_study_file_s() -> None:
    """``python -m lrstudy.spec.key_table`` writes them."""
    assert TEXTS["studies/README.md"].endswith(f"\n\n{key_tables()}")


def test_the_readme_s_first_table_is_that_of_the_committed_report() -> None:
    """Printed as ``lrstudy run`` prints it."""
    stored = json.loads((ROOT / "reports/digits/summary.json").read_text(encoding="utf-8"))
    summary: Any = SimpleNamespace(**stored)
    summary.metric = METRICS[stored["metric"]]
    summary.names = [schedule["name"] for schedule in stored["schedules"]]
    summary.schedules = [
        SimpleNamespace(
            name=schedule["name"],
            tuned=schedule["tuned"],
            reach=[reach_of(target) for target in schedule["targets"]],
        )
        for schedule in stored["schedules"]
    ]
    summary.arrival = stored.get("arrival", "first")
    summary.run = "runs/digits"
    step = stored.get("next_step")
    summary.next_step = None if step is None else next_step(step)
    summary.end = ends_of(stored["end"]) if stored.get("end") else None
    said = io.StringIO()
    show_verdict(Console(file=said, width=110, color_system=None), summary)
    printed = [line.rstrip() for line in said.getvalue().splitlines()]
    shown = blocks("README.md", "text")[0].splitlines()
    assert shown == [*printed, "report: runs/digits/report/report.html"]


def reach_of(target: dict[str, Any]) -> SimpleNamespace:
    speedup = target["speedup"]
    # A report of an older version shows the interval given the winners.
    judged = target["speedup_over_tunings"] if "replicates" in target else speedup
    return SimpleNamespace(
        hits=target["hits"],
        runs=target["runs"],
        verdict=target["verdict"],
        given_winners=target["verdict_given_winners"],
        mean_time=SimpleNamespace(value=target["mean_time"]["mean"]),
        judged=SimpleNamespace(value=judged["ratio"], low=judged["low"], high=judged["high"]),
    )


def next_step(step: dict[str, Any]) -> NextStep:
    names = {"what": step["extend"], "clock": "epochs", "time": step["epochs"], "open": tuple(step["open"])}
    return NextStep(**names, **{key: step[key] for key in ("value", "trials", "chances", "one_tuning")})


def ends_of(end: dict[str, Any]) -> SimpleNamespace:
    def interval(found: dict[str, float | None]) -> SimpleNamespace:
        return SimpleNamespace(value=found["mean"], low=found["low"], high=found["high"])

    values = [
        SimpleNamespace(
            value=interval(one["value"]),
            difference=interval(one["difference"]),
            verdict=one["verdict"],
            pairs=one["pairs"],
        )
        for one in end["schedules"]
    ]
    return SimpleNamespace(clock=end["clock"], length=end["length"], unit=end["paired_by"], values=values)


def test_the_two_commands_are_lines_of_their_own() -> None:
    first = "python -m venv .venv && .venv/bin/pip install -e . && .venv/bin/lrstudy run studies/digits.toml"
    second = "python -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
    assert first in README.splitlines()
    assert second in README.splitlines()
    assert second in TEXTS[".github/CONTRIBUTING.md"].splitlines()


def test_pre_commit_runs_the_environment_s_own_linters() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    check = (ROOT / ".ci/check").read_text()
    for hook in repository["hooks"]:
        program, _, command = hook["entry"].removeprefix(".venv/bin/").partition(" ")
        assert f'"$bin/{program}" {command.partition(" ")[0]}'.rstrip() in check


def test_the_files_of_slow_tests_exist() -> None:
    found = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r'"(test_\w+)"', (ROOT / "tests/conftest.py").read_text(encoding="utf-8"))
    assert named
    assert found >= set(named)


def test_ci_runs_the_contributors_test_command_in_its_own_environment() -> None:
    for name in ("run", "check", "test"):
        subprocess.run(["bash", "-n", ROOT / ".ci" / name], check=True)
    (line,) = re.findall(r"^command=.*$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    shown = subprocess.run(
        ["bash", "-c", f'{line}\nprintf %s "${{command//.venv/.ci/venv}}"'],
        cwd=ROOT,
        check=True,
        stdout=-1,
        text=True,
    ).stdout
    assert shown == "python -m venv .ci/venv && .ci/venv/bin/pip install -e '.[test]' && .ci/venv/bin/pytest"
