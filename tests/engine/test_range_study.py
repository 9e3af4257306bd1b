"""A study whose schedule has a range test, on real Ray: recorded, counted, used, not repeated."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.analysis import analyse
from lrstudy.cli import app
from lrstudy.records import Phase, Status
from lrstudy.report import write_report
from lrstudy.spec import Study, parse_study
from lrstudy.store import Store, StoreWriter, open_location, open_store, study_folder
from lrstudy.tuning import prepare

pytestmark = pytest.mark.cluster

STUDY = """
name = "tested"
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 6
[budget]
objective = "best"
trials = 3
confirm_seeds = 2
search = "random"
[target]
values = [0.8]
reference = "fixed"
[range_test]
high = 1e4
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
[schedules.one-cycle]
max_lr = "range-test"
"""
TEST = "one-cycle-range-test-000"


def study() -> Study:
    return parse_study(tomllib.loads(STUDY), "test")


def run(out: Path) -> Store:
    with prepare(study(), str(out)) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    return open_store(out / "tested")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return run(tmp_path_factory.mktemp("runs"))


def test_the_test_is_a_trial_in_the_store(store: Store) -> None:
    record = next(r for r in store.trial_records() if r.trial_id == TEST)
    assert (record.phase, record.status, record.objective) == (Phase.RANGE_TEST, Status.COMPLETED, None)
    rows = [row for key, row in store.evaluation_records() if key.trial_id == TEST]
    assert [row.epoch for row in rows] == list(range(1, record.evaluations_run + 1))
    assert rows[0].lr_min == 1e-5
    assert rows[-1].lr_max < 1e4, "it ended when the loss had left"
    assert 1e-5 < record.params["min_lr"] < record.params["max_lr"] < rows[-1].lr_max


def test_its_bounds_are_what_was_searched(store: Store) -> None:
    records = {r.trial_id: r for r in store.trial_records()}
    assert sorted(name for name in records if name.startswith("one-cycle-")) == [
        "one-cycle-confirm-000",
        "one-cycle-confirm-001",
        TEST,
        "one-cycle-tune-000",
        "one-cycle-tune-001",
    ]
    low, high = records[TEST].params["min_lr"], records[TEST].params["max_lr"]
    for number in range(2):
        assert low <= records[f"one-cycle-tune-{number:03d}"].params["max_lr"] <= high


def test_the_command_finds_the_same_bounds(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)
    result = CliRunner().invoke(app, ["range-test", "study.toml", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    record = next(r for r in store.trial_records() if r.trial_id == TEST)
    assert (found["low"], found["high"]) == (record.params["min_lr"], record.params["max_lr"])


def test_the_ledger_counts_it(store: Store, tmp_path: Path) -> None:
    summary = analyse(store)
    assert summary.complete
    assert summary.planned == len(store.trial_records()) == 10
    record = next(r for r in store.trial_records() if r.trial_id == TEST)
    last = [row for key, row in store.evaluation_records() if key.trial_id == TEST][-1]
    fixed, tested = (schedule.price for schedule in summary.schedules)
    assert (fixed.range_test.trials, fixed.tune.trials) == (0, 3)
    assert (tested.range_test.trials, tested.tune.trials) == (1, 2)
    paid = tested.range_test
    assert (paid.epochs, paid.steps, paid.samples) == (record.evaluations_run, last.step, last.samples)
    assert paid.seconds is not None
    assert paid.device_seconds is not None
    assert 0 < paid.seconds < paid.device_seconds
    assert paid.epochs + tested.tune.epochs <= fixed.tune.epochs, "never more than the others"
    assert not any("different tuning budgets" in warning for warning in summary.warnings)
    assert not any("range test" in warning for warning in summary.warnings)
    price = summary.schedules[1].price_of_target
    assert price is None or price.value[0] is None or price.value[0] > record.evaluations_run
    write_report(summary, tmp_path)
    ledger = (tmp_path / "report.md").read_text().partition("## Ledger")[2]
    assert "one-cycle: a range test set the range of rates to search and took the place" in ledger
    assert f"| one-cycle | 1 | {record.evaluations_run} | {last.step} | {last.samples:,} |" in ledger


def test_a_resume_takes_the_test_from_the_store(store: Store, tmp_path: Path) -> None:
    kept = [replace(r, node="before") for r in store.trial_records() if r.trial_id == TEST]
    rows = [(key, row) for key, row in store.evaluation_records() if key.trial_id == TEST]
    place = study_folder(open_location(tmp_path), "tested")
    with StoreWriter.create_or_open(place, store.study) as writer:
        writer.append(rows, kept)
    again = run(tmp_path)
    records = {r.trial_id: r for r in again.trial_records()}
    assert records[TEST].node == "before"
    assert {name: r.params for name, r in records.items()} == {
        r.trial_id: r.params for r in store.trial_records()
    }
