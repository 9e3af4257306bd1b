"""The command line from a study file to a report, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands
from lrstudy.cli import app

STUDY = """
name = "tiny"
[task]
dataset = "digits"
model = { name = "mlp", widths = [16], batch_norm = "last" }
batch_size = 64
epochs = 4
[budget]
trials = 3
confirm_seeds = 3
objective = "best"
[target]
values = [0.8]
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
"""


def lrstudy(folder: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def few_steps_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrstudy.tuning.time_estimate._MEASURE_SECONDS", 0.05)  # for each plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    (folder / "tiny.toml").write_text(STUDY)
    command = [sys.executable, "-m", "lrstudy", "run", "tiny.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "runs/tiny/report/report.html" in done.stdout
    assert "10 of 10 trials" in done.stdout or "trials in" in done.stdout
    return folder


@pytest.mark.cluster
def test_run_leaves_a_store_and_a_report(folder: Path) -> None:
    counts = duckdb.sql(
        f"SELECT schedule, phase, count(*) FROM '{folder}/runs/tiny/trials/*.parquet' GROUP BY ALL "
        "ORDER BY ALL"
    ).fetchall()
    assert counts == [
        ("fixed", "confirm", 3),
        ("fixed", "tune", 3),
        ("lipschitz", "confirm", 3),
        ("lipschitz", "tune", 1),
    ]
    made = {path.name for path in (folder / "runs" / "tiny" / "report").iterdir()}
    assert {"report.html", "report.md", "summary.json"} <= made
    summary = json.loads((folder / "runs" / "tiny" / "report" / "summary.json").read_text())
    assert summary["reference"] == "fixed"
    assert [schedule["name"] for schedule in summary["schedules"]] == ["lipschitz", "fixed"]


@pytest.mark.cluster
def test_a_second_run_trains_nothing_and_says_the_same(folder: Path) -> None:
    before = (folder / "runs" / "tiny" / "report" / "summary.json").read_bytes()
    again = lrstudy(folder, "run", "tiny.toml", "--quiet")
    assert again.exit_code == 0, again.output
    assert (folder / "runs" / "tiny" / "report" / "summary.json").read_bytes() == before


@pytest.mark.cluster
def test_several_studies_run_one_after_another_and_are_compared(folder: Path) -> None:
    smaller = STUDY.replace('"tiny"', '"small"').replace("epochs = 4", "epochs = 2").replace("= 3", "= 1")
    (folder / "small.toml").write_text(smaller.replace("= 64", "= 63"))
    command = [sys.executable, "-m", "lrstudy", "run", "tiny.toml", "small.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "study 2 of 2: small" in done.stderr
    assert done.stderr.count("warning: ") == 1
    assert "warning: small.toml:6: task.batch_size = 63: leaves 15 rows for the last batch" in done.stderr
    compared = json.loads((folder / "runs" / "comparison" / "comparison.json").read_text())
    assert [study["name"] for study in compared["studies"]] == ["tiny", "small"]


def test_nothing_of_a_suite_starts_while_a_study_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(STUDY)
    (tmp_path / "two.toml").write_text(STUDY.replace('"tiny"', '"two"').replace("epochs = 4", "epochs = -4"))
    refused = lrstudy(tmp_path, "run", "one.toml", "two.toml")
    assert refused.exit_code == 2
    assert "two.toml" in str(refused.exception) + refused.stderr
    (tmp_path / "two.toml").write_text(STUDY)
    twice = lrstudy(tmp_path, "run", "one.toml", "two.toml")
    assert twice.exit_code == 2
    assert "is the name of two of the studies" in str(twice.exception) + twice.stderr
    assert not (tmp_path / "runs").exists()


def test_a_study_of_a_suite_that_stops_ends_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.toml").write_text(STUDY.replace('"tiny"', f'"{name}"'))
    started: list[str] = []

    def stopped_in_the_second(command: list[str]) -> int:
        started.append(command[4])
        return 130 if command[4] == "two.toml" else 0

    monkeypatch.setattr("lrstudy.cli.views.suite._run", stopped_in_the_second)
    ended = lrstudy(tmp_path, "run", "one.toml", "two.toml", "three.toml")
    assert ended.exit_code == 130
    assert started == ["one.toml", "two.toml"]
    assert "stopped in study 2 of 3; 1 more not started" in ended.stderr


def test_failed_trials_of_one_study_are_the_exit_code_of_its_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{schedule},{epoch},0.{epoch}" for schedule in ("fixed", "step") for epoch in (1, 2)]
    (tmp_path / "log.csv").write_text("\n".join(["schedule,epoch,val_accuracy", *rows]) + "\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(STUDY.replace('"tiny"', f'"{name}"'))
        assert lrstudy(tmp_path, "import", "log.csv", "--name", name).exit_code == 0  # what they would leave
    monkeypatch.setattr("lrstudy.cli.views.suite._run", lambda command: int(command[4] == "one.toml"))
    ended = lrstudy(tmp_path, "run", "one.toml", "two.toml")
    assert ended.exit_code == 1, ended.output
    assert (tmp_path / "runs/comparison/comparison.html").exists()


@pytest.mark.cluster
def test_another_study_in_the_folder_is_refused(folder: Path) -> None:
    other = lrstudy(folder, "run", "tiny.toml", "--set", "seed=5")
    assert other.exit_code == 2
    assert "belongs to the study" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.cluster
def test_status_and_report_need_only_the_store(folder: Path) -> None:
    status = json.loads(lrstudy(folder, "status", "runs/tiny", "--json").stdout)
    assert [(s["schedule"], s["tune"], s["confirm"]) for s in status["schedules"]] == [
        ("lipschitz", 1, 3),
        ("fixed", 3, 3),
    ]
    code = (
        "import sys\n"
        "from lrstudy.cli import app, commands\n"
        "app(['report', 'runs/tiny', '-o', 'again', '--target', '0.7'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "again" / "summary.json").read_text())["targets"] == [0.7]


def test_plan_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    result = CliRunner().invoke(app, ["plan", str(path), "--json"])
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    assert plan["trials"] == 10
    assert plan["epochs"] == 40
    assert plan["seconds"] > 0
    assert list(tmp_path.iterdir()) == [path]


def test_plan_says_what_is_spent_and_what_can_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)

    def said(*changes: str) -> tuple[dict[str, Any], str]:
        found = CliRunner().invoke(app, ["plan", str(path), "--json", *changes])
        page = CliRunner().invoke(app, ["plan", str(path), *changes], env={"COLUMNS": "300"})
        assert found.exit_code == page.exit_code == 0, page.output
        return json.loads(found.stdout), page.stdout

    few, page = said()
    # 1,797 digits, less a fifth for the test, less a fifth of the rest: 1,149 rows in batches of 64.
    assert few["steps_per_epoch"] == 18
    assert (
        "those searched tune for the same: 3 trials, 12 epochs, 216 steps; nothing to tune: lipschitz" in page
    )
    assert few["power"]["fewest_seeds"] == 6
    assert "one tuning of each can show only" in page
    assert "no number of seeds tells" in page
    assert few["gpu_hours"] == 0
    enough, page = said("--set", "budget.confirm_seeds=10", "--set", "resources.max_concurrent=1")
    assert enough["power"]["speedup"] < (few["power"]["speedup"] or 1000)
    assert "to find 2" in page or "to find 1.9" in page
    assert "given the winners" not in page
    assert enough["lanes"]["lanes"] == 64
    assert f"up to 64 trials side by side in a worker ({enough['lanes']['reason']})" in page
    assert "at most" not in page
    untuned, page = said("--set", "budget.confirm_seeds=10", "--set", "schedules.fixed.lr=0.1")
    assert not untuned["power"]["tuned"]
    assert "1 schedule against the reference on 10 seeds, 4 of 5 studies find a speedup of 1." in page
    _, page = said("--set", "schedules.fixed.lr=0.1")
    assert "3 seeds can show no difference however large; 6 seeds can" in page
    _, page = said("--set", "budget.pruner=asha")
    assert "at most 10 trials, 40 epochs" in page
    assert enough["cpu_hours"] * 3600 == pytest.approx(enough["seconds"] - 5)  # a core, less Ray's start


def test_plan_of_a_study_that_runs_until_it_is_decided_names_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    until = ["budget.replicates=4", "budget.until=decided", "budget.most=16"]
    changes = [word for change in until for word in ("--set", change)]
    found = json.loads(CliRunner().invoke(app, ["plan", str(path), "--json", *changes]).stdout)
    assert found["most"] == {
        "replicates": 16,
        "trials": 4 * found["trials"],
        "epochs": 4 * found["epochs"],
        "seconds": pytest.approx(4 * found["seconds"]),
    }
    assert found["power"]["speedup"] < found["power"]["first_look"]
    page = CliRunner().invoke(app, ["plan", str(path), *changes], env={"COLUMNS": "80"}).stdout
    assert max(map(len, page.splitlines())) <= 80
    said = " ".join(page.split())
    assert "until decided, up to 16 tunings of those undecided: at most 160 trials, 640 epochs" in said
    assert "after 4 tunings of each" in said
    assert "with all 16" in said


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ((), "no speedup, however large, is found in 4 of 5 studies; at the primary target"),
        (
            ("budget.until=decided", "budget.most=4"),
            "is found in 4 of 5 studies after 2 tunings of each, one of 4.14× is with all 4;",
        ),
    ],
)
def test_plan_of_too_few_tunings_says_that_they_find_nothing(
    design: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    settings = ("budget.replicates=2", "budget.confirm_seeds=2", "budget.objective=target", *design)
    changes = [word for setting in settings for word in ("--set", setting)]
    page = CliRunner().invoke(app, ["plan", str(path), *changes], env={"COLUMNS": "400"}).stdout
    assert said in page


def test_plan_counts_all_replicates_and_says_what_they_share(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    (tmp_path / "splits.py").write_text(
        "import numpy as np\nX, Y = np.random.default_rng(0).normal(size=(90, 64)), np.arange(90) % 3\n"
        "def make():\n    return {name: (X[i:i + 30], Y[i:i + 30]) for i, name in"
        " ((0, 'train'), (30, 'validation'), (60, 'test'))}\n"
    )
    design = ["budget.replicates=4", "budget.select=2", "budget.objective=target", "task.epochs=5"]
    changes = [word for change in design for word in ("--set", change)]

    def said(verb: str, *more: str) -> tuple[str, str]:
        result = CliRunner().invoke(app, [verb, str(path), *changes, *more], env={"COLUMNS": "400"})
        assert result.exit_code == 0, result.output
        return result.stdout, result.stderr

    plan = json.loads(said("plan", "--json")[0])
    counts = [
        [schedule[f"{phase}_trials"] for phase in ("tune", "select", "confirm")]
        for schedule in plan["schedules"]
    ]
    assert counts == [[4, 0, 12], [12, 24, 12]]
    assert (plan["trials"], plan["epochs"], plan["confirm_seeds"]) == (64, 320, 3)
    page, _ = said("plan")
    assert "at most 64 trials, 320 epochs" in page, "runs end at their target"
    assert "4 tunings of each schedule, each on a split of the data by itself" in page
    assert "every winner runs on the same 3 fresh seeds" in page
    assert "share one split" not in said("validate")[1]
    own = ("--set", 'task.dataset="splits:make"')
    shared = "all replicates share one split"
    assert f"4 tunings of each schedule; {shared}: the data have" in said("plan", *own)[0]
    warning = said("validate", *own)[1]
    assert warning.count(f"warning: {path}:4: task.dataset = 'splits:make': {shared}") == 1
    assert said("plan", *own)[1] == warning
    assert shared not in said("validate", *own, "--set", "budget.replicates=1")[1]


@pytest.mark.cluster
def test_plan_refuses_what_validate_refuses_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY + '[schedules.own]\nkind = "nowhere:make"\n')
    change = ("--set", 'task.model="elsewhere:make"')
    results = [CliRunner().invoke(app, [verb, str(path), *change]) for verb in ("plan", "validate")]
    assert [result.exit_code for result in results] == [2, 2]
    assert results[0].stderr == results[1].stderr
    assert results[0].stderr.count("tiny.toml:") == 2
    assert results[0].stdout == ""


def test_data_that_are_yet_to_be_fetched_leave_the_time_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRSTUDY_DATA", str(tmp_path / "none"))
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY.replace("digits", "mnist"))
    page = CliRunner().invoke(app, ["plan", str(path)], env={"COLUMNS": "500"})
    assert page.exit_code == 0
    assert "Fetch it: lrstudy data fetch mnist" in page.stdout
    checked = CliRunner().invoke(app, ["validate", str(path)])
    assert checked.exit_code == 2
    assert "its data are not on this machine; no other problem was found" in checked.stderr
    path.write_text(path.read_text() + '[schedules.own]\nkind = "nowhere:make"\n')
    for verb in ("plan", "validate"):
        refused = CliRunner().invoke(app, [verb, str(path)])
        assert refused.exit_code == 2
        assert "lrstudy data fetch mnist" in refused.stderr
        assert "tiny.toml:" in refused.stderr
        assert "nothing else" not in refused.stderr


def test_plan_takes_its_time_from_what_was_recorded(folder: Path) -> None:
    plan = json.loads(lrstudy(folder, "plan", "tiny.toml", "--json").stdout)
    assert plan["estimate"].startswith("from 10 recorded trials")
    other = json.loads(lrstudy(folder, "plan", "tiny.toml", "--json", "--set", "task.epochs=5").stdout)
    assert "ms a step" in other["estimate"]


def test_plan_fits_eighty_columns(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    output = CliRunner().invoke(app, ["plan", str(path)], env={"COLUMNS": "80"}).stdout
    assert max(map(len, output.splitlines())) <= 80


def test_importing_lrstudy_and_its_help_load_neither_torch_nor_ray() -> None:
    code = (
        "import sys, lrstudy.cli.commands\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'ray', 'pydantic', 'numpy', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
