"""compare, import, query, export, and the report of a study that goes on: from stores alone."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.cli.views.query import FORMATS
from lrstudy.store import StoreWriter, open_location, open_store, study_folder

HOSTILE = "<img src=x onerror=alert(1)>"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def done(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    before = sorted(Path.cwd().rglob("*"))
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert sorted(Path.cwd().rglob("*")) == before, "nothing is written"
    return " ".join(result.output.split())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def histories(tasks: tuple[str, ...] = ("a", "b"), schedules: tuple[str, ...] = ("fixed", "step")) -> str:
    """Three seeds of each schedule on each task; ``step`` learns a little faster."""
    rows = ["task,schedule,run,epoch,lr,val_accuracy,note"]
    for task in tasks:
        for place, schedule in enumerate(schedules):
            for seed in range(3):
                for epoch in range(1, 9):
                    level = 1 - 0.9 / (1 + epoch * (1 + place) + seed / 10)
                    rows.append(f'"{task}","{schedule}",{seed},{epoch},0.1,{level:.4f},x')
    return "\n".join(rows) + "\n"


@pytest.fixture
def runs(here: Path) -> list[str]:
    """Two imported studies."""
    (here / "h.csv").write_text(histories())
    done("import", "h.csv", "--task-columns", "task", "--seed-column", "run", "--target", "0.8")
    return ["runs/a", "runs/b"]


# import


def test_import_makes_a_store_of_each_study_and_says_what_to_do_next(here: Path) -> None:
    (here / "h.csv").write_text(histories())
    options = ["--task-columns", "task", "--schedule-columns", "schedule", "--seed-column", "run"]
    said = done("import", "h.csv", "--out", "stores", *options, "--reference", "step", "--target", "0.8")
    assert max(map(len, said.splitlines())) <= 80
    assert "not used: note" in said
    assert said.splitlines()[-2] == "judged by val_accuracy"
    assert "next: lrstudy report stores/a" in said
    assert "no interval" not in said
    study = open_store("stores/b").study
    assert (study.reference, study.targets, study.confirm_seeds) == ("step", [0.8], 3)
    assert "stores/b/report/report.html" in done("report", "stores/b")


def test_one_run_per_schedule_is_said_to_give_no_interval(here: Path) -> None:
    rows = [f"{schedule},{epoch},{epoch / 10}" for schedule in ("a", "b") for epoch in (1, 2, 3)]
    (here / "h.csv").write_text("\n".join(["schedule,epoch,val_acc", *rows]) + "\n")
    assert "no interval can be given" in done("import", "h.csv")
    done("report", "runs/h")
    assert "one run" in (here / "runs/h/report/report.md").read_text()


def test_an_import_is_finished_also_where_seeds_are_uneven(here: Path) -> None:
    rows = histories(("a",)).splitlines()
    (here / "h.csv").write_text("\n".join(row for row in rows if '"step",2' not in row) + "\n")
    done("import", "h.csv", "--seed-column", "run", "--target", "0.8")
    assert "h: 5 of 5 trials done" in done("status", "runs/h")
    assert "so far" not in done("report", "runs/h")
    assert "not complete" not in (here / "runs/h/report/report.md").read_text()


def test_import_reads_parquet_and_several_files(here: Path) -> None:
    columns = {"epoch": [0, 1, 2], "accuracy": [0.1, 0.5, 0.7], "val_accuracy": [0.1, 0.4, 0.6]}
    pq.write_table(pa.table(columns), here / "cosine.parquet")
    (here / "fixed.csv").write_text("epoch,acc,val_acc\n0,0.1,0.1\n1,0.2,0.2\n2,0.3,0.4\n")
    done("import", "cosine.parquet", "fixed.csv", "--name", "mine", "--metric", "val_error")
    study = open_store("runs/mine").study
    assert [schedule.name for schedule in study.schedules] == ["cosine", "fixed"]
    assert (study.metric.name, study.reference) == ("val_error", "fixed")


def test_a_hostile_name_gives_a_safe_folder_and_shows_as_text(here: Path) -> None:
    (here / "h.csv").write_text(histories((HOSTILE, "../../up"), ("fixed", HOSTILE)))
    said = done("import", "h.csv", "--task-columns", "task", "--seed-column", "run", "--target", "0.8")
    assert HOSTILE in said
    folders = [study_folder(open_location("runs"), name) for name in (HOSTILE, "../../up")]
    assert [folder.local.parent for folder in folders if folder.local] == [here / "runs"] * 2
    for folder in folders:
        done("report", str(folder))
    assert {path.name for path in here.iterdir()} == {"h.csv", "runs"}
    made = list((here / "runs").glob("*/report"))
    assert len(made) == 2
    page = next(path for path in made if "img" in path.parent.name)
    assert "&lt;img src=x" in (page / "report.html").read_text()
    assert "<img src=x" not in (page / "report.html").read_text()
    text = (page / "report.md").read_text()
    assert "<img src=x" not in text.partition("```json")[0], "only inside the fenced JSON, which shows text"
    assert HOSTILE in done("status", str(folders[0]))


HEADER = "schedule,seed,epoch,val_acc"
BAD_HISTORIES = {
    "repeated": ("s,1,1,0.1\ns,1,2,0.2\ns,1,2,0.3", "epoch 2 of s seed 1 is repeated"),
    "missing": ("s,1,1,0.1\ns,1,4,0.2", "epochs 2, 3 of s seed 1 are missing"),
    "unordered": ("s,1,1,0.1\ns,1,3,0.2\ns,1,2,0.2", "the epochs of s seed 1 are out of order"),
    "not a number": ("s,1,1,good", "h.csv:2: val_acc = 'good': must hold numbers"),
    "percentages": ("s,1,1,89.4", "divide percentages by 100"),
}


@pytest.mark.parametrize("case", BAD_HISTORIES)
def test_a_bad_history_is_refused(here: Path, case: str) -> None:
    rows, said = BAD_HISTORIES[case]
    (here / "h.csv").write_text(f"{HEADER}\n{rows}\n")
    output = refused("import", "h.csv", "--seed-column", "seed")
    assert said in output
    assert "h.csv" in output


def test_what_is_no_history_is_refused(here: Path) -> None:
    (here / "h.csv").write_text("name,value\na,1\n")
    (here / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    output = refused("import", "h.csv", "picture.png", "nowhere.csv")
    assert "epoch: there is no such column" in output
    assert "no column that is a loss or an accuracy" in output
    assert "picture.png" in output
    assert "nowhere.csv: cannot be read" in output


def test_an_import_says_what_judges_and_what_was_left_out(here: Path) -> None:
    (here / "a.csv").write_text("epoch,train_loss,val_acc,top5\n0,1,0.5,1\n1,0.9,0.6,1\n2,,0.9,1\n")
    (here / "b.csv").write_text("epoch,train_loss\n0,1\n1,0.8\n")
    said = done("import", "a.csv", "--out", "one").splitlines()
    assert said[2:4] == ["note: a.csv:4: a validation after the training is left out", "not used: top5"]
    assert said[-2] == "judged by val_accuracy"
    text = " ".join(done("import", "a.csv", "b.csv", "--out", "two").split())
    warning = "WARNING: judged by train_loss, a training metric: val_accuracy is missing in b seed 0"
    assert warning in text
    said = done("import", "a.csv", "b.csv", "--out", "three", "--metric", "train_loss").splitlines()
    assert said[-2] == "judged by train_loss"


def test_studies_that_are_judged_by_different_metrics_are_told_apart(here: Path) -> None:
    (here / "h.csv").write_text("task,schedule,epoch,val_acc,val_loss\na,s,1,0.5,1\nb,s,1,,1\n")
    said = done("import", "h.csv", "--task-columns", "task")
    assert "judged by val_accuracy (a)" in said
    assert "judged by val_loss (b)" in said


@pytest.mark.timeout(60)
def test_a_log_of_times_or_with_escapes_is_refused_at_once_and_shown_safely(here: Path) -> None:
    (here / "t.csv").write_text("epoch,val_acc\n1700000000,0.5\n1700000060,0.6\n")
    assert "is not an epoch's number: more than 1,000,000" in refused("import", "t.csv")
    (here / "e.csv").write_text("epoch,\x1b[31mval_acc,\x1b]0;title\x07\n1,0.5,1\n")
    result = invoke("import", "e.csv")
    assert result.exit_code == 2
    assert "\x1b" not in result.output
    (here / "f.csv").write_text("epoch,val_acc,\x1b]0;title\x07\n1,0.5,1\n")
    assert "not used: \\x1b]0;title\\x07" in done("import", "f.csv")


def steps_log(slow: float) -> str:
    rows = (f"{at},{at * 512},{1 / (1 + at / slow):.4f}" for at in range(10, 101, 10))
    return "\n".join(["step,tokens,val_loss", *rows]) + "\n"


def test_a_preview_shows_what_an_import_would_make_and_writes_nothing(here: Path) -> None:
    for name, slow in (("fixed", 50), ("cosine", 20)):
        for seed in (1, 2):
            (here / f"{name}-{seed}.csv").write_text(steps_log(slow + seed))
    command = ["import", str(here), "--schedule-from", "{schedule}-{seed}.csv", "--clock", "tokens"]
    before = sorted(here.rglob("*"))
    said = done(*command, "--name", "mine", "--dry-run")
    assert max(map(len, said.splitlines())) <= 80
    assert sorted(here.rglob("*")) == before
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == "would be study mine, in runs/mine"
    assert lines[2:4] == ["cosine 2 10 1, 2", "fixed 2 10 1, 2"]
    assert "judged by val_loss, timed in tokens" in lines
    assert "nothing was written" in lines[-1]
    assert "judged by val_loss, timed in tokens" in done(*command, "--name", "mine", "--target", "0.5")
    assert "tokens" in done("report", "runs/mine")
    assert "judged by val_loss, timed in steps" in done("import", "fixed-1.csv", "cosine-1.csv")
    assert "comparison.html" in done("compare", "runs/mine", "runs/imported")


def test_columns_and_names_that_are_not_there_are_refused(here: Path) -> None:
    (here / "h.csv").write_text(histories())
    assert "Did you mean 'task'?" in refused("import", "h.csv", "--task-columns", "taks")
    good = ["import", "h.csv", "--task-columns", "task", "--seed-column", "run"]
    assert "Did you mean 'fixed'?" in refused(*good, "--reference", "fixd")
    assert "Did you mean 'val_accuracy'?" in refused(*good, "--metric", "val_acc")


# compare


def test_compare_lays_studies_side_by_side(here: Path, runs: list[str]) -> None:
    said = done("compare", *runs)
    assert max(map(len, said.splitlines())) <= 80
    assert "step was the fastest in 2 of 2 studies" in said
    assert "comparison/comparison.html" in said
    made = {path.name for path in (here / "comparison").iterdir()}
    assert {"comparison.html", "comparison.md", "comparison.json", "figures", "tables"} <= made


def test_compare_for_programs(here: Path, runs: list[str]) -> None:
    data = json.loads(done("compare", *runs, "--reports", "elsewhere", "--json"))
    assert [study["name"] for study in data["studies"]] == ["a", "b"]
    assert json.loads((here / "elsewhere/comparison/comparison.json").read_text()) == data


def test_compare_refuses_what_is_no_run_all_at_once(here: Path, runs: list[str]) -> None:
    output = refused("compare", runs[0], "nowhere", f"./{runs[0]}", "runs")
    assert "nowhere: does not exist" in output
    assert "is given twice" in output
    assert "runs: is not a study's store" in output
    refused("compare")


# query


def test_query_shows_a_table(runs: list[str]) -> None:
    said = done(
        "query", runs[0], "SELECT schedule, count(*) AS n, max(best_val) AS best FROM trials GROUP BY 1"
    )
    lines = [line.split() for line in said.splitlines()]
    assert lines[0] == ["schedule", "n", "best"]
    assert sorted(lines[1:3]) == [["fixed", "3", "0.9022"], ["step", "3", "0.9477"]]
    assert lines[3] == ["2", "rows"]


def test_a_table_fits_the_terminal_and_says_what_it_leaves_out(runs: list[str]) -> None:
    said = done("query", runs[0], "SELECT * FROM epochs")
    assert max(map(len, said.splitlines())) <= 80
    words = " ".join(said.split())
    assert "48 rows, the first 40 shown; columns that do not fit:" in words
    assert words.endswith("weight_norm (--format csv has all)")


def test_values_of_every_kind_are_shown(runs: list[str]) -> None:
    sql = "SELECT NULL a, 'nan'::DOUBLE b, [1, NULL] c, {'k': 1.5} d, 2.50 e, DATE '2026-01-02' f"
    row = done("query", runs[0], sql).splitlines()[1]
    assert row.split("  ")[:3] == ["null", "nan", "[1, null]"]
    assert '{"k": 1.5}' in row
    assert row.split()[-2:] == ["2.5", "2026-01-02"]
    assert json.loads(done("query", runs[0], sql, "--format", "json")) == [
        {"a": None, "b": "NaN", "c": [1, None], "d": {"k": 1.5}, "e": 2.5, "f": "2026-01-02"}
    ]
    assert done("query", runs[0], sql, "--format", "csv").splitlines()[1] == (
        ',nan,"[1, null]","{""k"": 1.5}",2.5,2026-01-02'
    )


def test_two_columns_of_one_name_stay_two(runs: list[str]) -> None:
    sql = "SELECT 1 AS n, 2 AS n"
    assert done("query", runs[0], sql, "--format", "json") == '[\n{"n": 1, "n_2": 2}\n]\n'
    assert done("query", runs[0], sql, "--format", "csv") == "n,n\n1,2\n"


def test_a_text_cannot_steer_the_terminal(runs: list[str]) -> None:
    said = done("query", runs[0], "SELECT '[bold]' AS a, chr(27) || '[31mred' || chr(10) || 'x' AS b")
    assert said.splitlines()[1].split() == ["[bold]", "\\x1b[31mred\\nx"]


def test_csv_has_every_row_and_digit(runs: list[str]) -> None:
    said = done("query", runs[0], "SELECT trial_id, epoch, val_accuracy, kz FROM epochs", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said)))
    assert len(rows) == 48
    stored = open_store(runs[0]).evaluations(["trial_id", "epoch", "val_accuracy"]).to_pylist()
    assert [float(row["val_accuracy"]) for row in rows] == [row["val_accuracy"] for row in stored]
    assert {row["kz"] for row in rows} == {""}


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_answer_without_rows(runs: list[str], file_format: str) -> None:
    said = done("query", runs[0], "SELECT lr FROM epochs WHERE epoch > 99", "--format", file_format)
    assert said.split() == {"table": ["lr", "0", "rows"], "csv": ["lr"], "json": ["[]"]}[file_format]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM runs", "Table with name runs does not exist"),
        ("SELECT loss FROM epochs", "The tables and their columns are trials: trial_id"),
        ("", "Write one SELECT"),
    ],
)
def test_a_query_that_cannot_be_answered(runs: list[str], sql: str, said: str) -> None:
    assert said in refused("query", runs[0], sql)


def test_what_query_lacks_is_named(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Did you mean 'table'?" in refused("query", runs[0], "SELECT 1", "--format", "tabel")
    assert "nowhere: does not exist" in refused("query", "nowhere", "SELECT 1")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert "pip install 'lrstudy[query]'" in refused("query", runs[0], "SELECT 1")


# export


@pytest.mark.parametrize("file_format", ["csv", "parquet", "json"])
def test_export_writes_both_tables(here: Path, runs: list[str], file_format: str) -> None:
    said = done("export", runs[0], "--format", file_format, "--out", "files")
    assert said.splitlines() == [f"files/trials.{file_format}", f"files/evaluations.{file_format}"]
    assert all((here / line).stat().st_size for line in said.splitlines())


def test_export_has_a_place_of_its_own(here: Path, runs: list[str]) -> None:
    done("export", runs[1], "--format", "parquet")
    assert pq.read_table(here / "exports/b/evaluations.parquet").num_rows == 48


def test_what_export_lacks_is_named(here: Path, runs: list[str]) -> None:
    assert "Did you mean 'csv'?" in refused("export", runs[0], "--format", "cvs")
    assert "nowhere: does not exist" in refused("export", "nowhere", "--format", "csv")
    (here / "file").write_text("in the way")
    assert "cannot be written" in refused("export", runs[0], "--format", "csv", "--out", "file/inside")
    refused("export", runs[0])


# report, while the run goes on


def test_the_report_of_a_run_that_goes_on(here: Path, runs: list[str]) -> None:
    """The writer still holds the store, and a third of the trials has not ended."""
    store = open_store(runs[0])
    spec = store.study.spec | {"budget": store.study.spec["budget"] | {"confirm_seeds": 5}}
    del spec["imported"]
    study = replace(store.study, name="going-on", spec=spec)
    with StoreWriter.create_or_open(here / "runs/going-on", study) as writer:
        writer.append_tables(store.evaluations(), store.trials())
        said = done("report", "runs/going-on")
        assert "runs/going-on/report/report.html" in said
        text = (here / "runs/going-on/report/report.md").read_text()
        assert "6 of 10 trials so far" in text
        assert "6 of 10 trials so far" in said
        assert done("compare", "runs/going-on", runs[1]).count("not complete") == 1
