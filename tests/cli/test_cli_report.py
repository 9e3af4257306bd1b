"""``lrstudy report``: the same bytes from the same store, and one clear error for a store that is unsound."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.cli.views.report import report_folder
from lrstudy.store import Location, open_location

TIME = re.compile(rb" on \d{4}-\d\d-\d\d \d\d:\d\d UTC")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of three seeds for each of four schedules."""
    monkeypatch.chdir(tmp_path)
    rows = ["schedule,run,epoch,lr,train_loss,val_accuracy"]
    for place, schedule in enumerate(["fixed", "step", '<b>"x"</b>', "cyclic"]):
        for seed in range(3):
            for epoch in range(1, 13):
                level = 1 - 0.9 / (1 + epoch * (1 + place) + seed / 10)
                name = schedule.replace('"', '""')
                rows.append(f'"{name}",{seed},{epoch},0.1,{1 / epoch:.3f},{level:.4f}')
    Path("h.csv").write_text("\n".join(rows) + "\n")
    told = CliRunner().invoke(app, ["import", "h.csv", "--seed-column", "run", "--target", "0.9"])
    assert told.exit_code == 0, told.output
    (place,) = Path("runs").iterdir()
    return place


def test_the_same_store_gives_the_same_bytes_in_another_process(run: Path) -> None:
    for name, seed in (("one", "1"), ("two", "2")):
        command = [sys.executable, "-m", "lrstudy", "report", str(run), "--out", name]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True)
    files = sorted(path.relative_to("one") for path in Path("one").rglob("*") if path.is_file())
    assert {"report.html", "report.md", "summary.json"} <= {str(file) for file in files}
    for file in files:
        one, two = (TIME.sub(b"", (Path(name) / file).read_bytes()) for name in ("one", "two"))
        assert one == two, file


def test_further_formats_are_written_beside_the_report(run: Path) -> None:
    words = ["report", str(run), "--out", "made", "--format", "svg, tex", "--width", "120"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert Path("made/tables/verdicts.tex").read_text().count(r"\toprule") == 1
    svg = Path("made/figures/speedup.svg").read_text()
    assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) == pytest.approx(120 / 25.4 * 72, abs=0.01)
    assert not list(Path("made").rglob("*.pdf"))
    refused = CliRunner().invoke(app, ["report", str(run), "--format", "svgg"])
    assert refused.exit_code == 2
    assert "Did you mean 'svg'?" in str(refused.exception) + refused.output


def test_the_short_report_is_printed_and_nothing_else_is_made(run: Path) -> None:
    before = set(run.rglob("*"))
    done = CliRunner().invoke(app, ["report", str(run), "--short", "--picture", "speed.png"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("### ")
    assert "](speed.png)" in done.stdout
    assert Path("speed.png").read_bytes().startswith(b"\x89PNG")
    assert set(run.rglob("*")) == before


def keep(share: float) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


def rewrite(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda file: pq.write_table(change(pq.read_table(file)), file)


def newer(file: Path) -> None:
    data = json.loads(file.read_text()) | {"schema_version": 99}
    del data["sha256"]
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("evaluations/*.parquet", keep(0.0), "evaluations"),
        ("evaluations/*.parquet", keep(0.5), "evaluations"),
        ("trials/*.parquet", keep(0.9), "trials"),
        (
            "evaluations/*.parquet",
            rewrite(lambda table: table.drop_columns(["val_accuracy"])),
            "val_accuracy",
        ),
        ("trials/*.parquet", rewrite(lambda table: table.drop_columns(["params"])), "params"),
        ("study.json", keep(0.5), "study.json"),
        ("study.json", newer, "newer"),
        ("study.json", Path.unlink, "study.json"),
    ],
)
def test_an_unsound_store_is_one_clear_error_and_nothing_is_written(
    run: Path, name: str, damage: Callable[[Path], None], said: str
) -> None:
    (file,) = run.glob(name)
    damage(file)
    told = CliRunner().invoke(app, ["report", str(run)], env={"COLUMNS": "80"})
    assert told.exit_code == 2, told.output
    assert "Traceback" not in told.output
    assert said in told.output
    assert not (run / "report").exists()


def test_a_study_whose_every_row_is_gone_says_so(run: Path) -> None:
    for table in ("evaluations", "trials"):
        (file,) = run.glob(f"{table}/*.parquet")
        rewrite(lambda rows: rows.slice(0, 0))(file)
    told = CliRunner().invoke(app, ["report", str(run)], env={"COLUMNS": "80"})
    assert told.exit_code == 0, told.output
    assert "nothing to compare" in (run / "report" / "report.md").read_text()


def test_a_report_goes_into_the_run_unless_a_folder_is_given(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = CliRunner().invoke(app, ["report", str(run)])
    assert told.exit_code == 0, told.output
    assert f"report: {run}/report/report.html" in told.output
    before = (run / "report" / "report.md").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    whole = run.absolute()
    monkeypatch.chdir(elsewhere)
    told = CliRunner().invoke(app, ["report", str(whole)], env={"COLUMNS": "400"})
    assert str(whole / "report" / "report.html") in told.output
    assert (whole / "report" / "report.md").read_bytes() == before
    assert list(elsewhere.iterdir()) == []
    told = CliRunner().invoke(app, ["report", str(whole), "--out", "given"])
    assert "report: given/report.html" in told.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--picture", "a.png"], "--picture = 'a.png': is the figure of the short report. Add --short"),
        (["--short", "--picture", "a.pdf"], "--picture = 'a.pdf': is no PNG file."),
        (["--short", "--picture", "h.csv/a.png"], "Choose a folder that can be written, with --picture."),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused(run: Path, options: list[str], said: str) -> None:
    told = CliRunner().invoke(app, ["report", str(run), *options], env={"COLUMNS": "400"})
    assert (told.exit_code, said in told.output) == (2, True), told.output
    assert not Path("a.png").exists()


def test_a_report_of_logs_claims_nothing_of_how_they_were_made(run: Path) -> None:
    told = CliRunner().invoke(app, ["report", str(run)])
    assert told.exit_code == 0, told.output
    text = (run / "report" / "report.md").read_text()
    assert "Time is that of the logs." in text
    assert "Times are sums over runs, as their logs give them." in text
    assert "3 seeds each" in text
    assert not re.search("estimating|fresh|excludes evaluation", text)


def test_logs_without_rates_say_so_in_the_report(run: Path) -> None:
    Path("g.csv").write_text("epoch,val_accuracy\n1,0.4\n2,0.5\n")
    assert CliRunner().invoke(app, ["import", "g.csv"]).exit_code == 0
    told = CliRunner().invoke(app, ["report", "runs/g"])
    assert told.exit_code == 0, told.output
    text = Path("runs/g/report/report.md").read_text()
    assert "No learning rate was recorded." in text
    assert "has ended yet" not in text


def test_a_rule_of_arrival_can_be_given_to_report_and_compare(run: Path) -> None:
    told = CliRunner().invoke(app, ["report", str(run), "--arrival", "stay:3"], env={"COLUMNS": "80"})
    assert told.exit_code == 0, told.output
    assert "val_accuracy 0.9 for 3 evaluations in a row" in told.output
    assert "for 3 evaluations in a row" in (run / "report" / "report.md").read_text()
    assert json.loads((run / "report" / "summary.json").read_text())["arrival"] == "stay:3"
    told = CliRunner().invoke(app, ["compare", str(run), "--arrival", "stay:3", "--json"])
    assert json.loads(told.output)["studies"][0]["goal"] == "validation accuracy 90% for 3 evaluations"
    for command in ("report", "compare"):
        refused = CliRunner().invoke(app, [command, str(run), "--arrival", "3"], env={"COLUMNS": "80"})
        assert refused.exit_code == 2
        assert "--arrival = '3': is not a rule of arrival" in " ".join(refused.stderr.split())


def test_values_at_the_end_of_recorded_histories_equal_an_independent_computation(run: Path) -> None:
    ends: dict[str, list[float]] = {}
    with Path("h.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["epoch"] == "12":
                ends.setdefault(row["schedule"], []).append(float(row["val_accuracy"]))
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
    found = json.loads((run / "report" / "summary.json").read_text())["end"]
    assert (found["clock"], found["length"]) == ("epochs", 12)
    tests = {name: stats.ttest_rel(values, ends["fixed"]) for name, values in ends.items()}
    smallest = min(tests[name].pvalue for name in tests if name != "fixed")
    compared = [one for one in found["schedules"] if one["name"] != "fixed"]
    # Holm over three schedules; the target, which is primary, has four fifths of the study's error.
    assert min(one["p_value"] for one in compared) == pytest.approx(3 * smallest / 0.2)
    for one in compared:
        limits = tests[one["name"]].confidence_interval(0.95)
        expected = (limits.low, limits.high)
        assert (one["difference"]["low"], one["difference"]["high"]) == pytest.approx(expected)
        assert one["verdict"] == ("better" if one["p_value"] <= 0.05 else "inconclusive")


def test_a_run_that_is_no_local_folder_is_reported_below_runs(tmp_path: Path) -> None:
    from pyarrow import fs

    remote = Location(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket/h", "s3://bucket/h")
    assert report_folder(remote, "h") == Path("runs/h/report")
    assert report_folder(remote, "h", Path("given")) == Path("given/h")
    assert report_folder(open_location("runs/h"), "h", Path("given")) == Path("given/h")


def test_git_ignores_what_commands_write_by_themselves() -> None:
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().split()
    assert {"/runs/", "/comparison/", "/exports/"} <= set(ignored)
